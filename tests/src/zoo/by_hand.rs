//! Components that no compiler would write: bombs for whoever compiles them, and guests that break the rules of types.

/// The component of this name.
pub fn component(name: &str) -> Vec<u8> {
    match name {
        // Bombs.
        "huge-function" => connector(&core(&[huge_function()])),
        "long-function" => connector(&core(&[long_function()])),
        "million-functions" => connector(&core(&vec![vec![0, 0x0b]; 900_000])),
        "deep-types" => connector(&section(7, &[leb(100_000), deep_types(100_000)].concat())),
        "doubling-types" => connector(&section(7, &[leb(64), doubling_types(64)].concat())),
        "deep-components" => nested(10_000),
        "many-imports" => many_imports(900),
        "many-modules" => connector(&section(1, b"\0asm\x01\0\0\0").repeat(1_000)),
        // Before the first question.
        "start-loop" => guest("(func $go (loop $on (br $on))) (start $go)", "unreachable"),
        "start-memory" => guest(&format!("(func $go {TAKE_MEMORY}) (start $go)"), "unreachable"),
        "start-stack" => guest("(func $go (call $go)) (start $go)", "unreachable"),
        "start-trap" => guest("(func $go unreachable) (start $go)", "unreachable"),
        "large-memory" => guest("(memory $large 65536)", "unreachable"),
        "large-table" => guest("(table $large 4000000000 funcref)", "unreachable"),
        // Growth that Rust has no word for.
        "table-growth" => guest("(table $t 1 funcref)", TAKE_TABLE),
        "own-handles" => guest("", "(loop $on (drop (call $new (i32.const 1))) (br $on)) unreachable"),
        // Answers that are none.
        "answer-out-of-bounds" => guest("", "(i32.const 0x7ffffff0)"),
        "answer-misaligned" => guest("", "(i32.const 1)"),
        "text-out-of-bounds" => guest(
            "",
            "(i32.store (i32.const 0) (i32.const -16)) (i32.store (i32.const 4) (i32.const 99)) (i32.const 0)",
        ),
        "text-not-utf8" => guest(
            "(data (i32.const 256) \"\\ff\\fe\")",
            "(i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.const 2)) (i32.const 0)",
        ),
        "unknown-case" => guest("", "(i32.store8 (i32.const 72) (i32.const 9)) (i32.const 0)"),
        "list-out-of-bounds" => guest("", "(i32.store (i32.const 44) (i32.const -1)) (i32.const 0)"),
        "list-of-nothing" => guest(
            "",
            "(i32.store (i32.const 40) (i32.const 65536)) (i32.store (i32.const 44) (i32.const 2000000)) (i32.const 0)",
        ),
        // Values handed to the host that are none.
        "handed-out-of-bounds" => {
            guest("", "(call $open (i32.const -16) (i32.const 99) (i32.const 0) (i32.const 512)) (i32.const 0)")
        }
        "handed-unknown-case" => {
            guest("", "(call $open (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 512)) (i32.const 0)")
        }
        "handed-unknown-handle" => guest(
            "",
            "(call $mac (i32.const 77) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512)) (i32.const 0)",
        ),
        "handed-too-much" => {
            guest("", "(call $open (i32.const 0) (i32.const 16777216) (i32.const 0) (i32.const 512)) (i32.const 0)")
        }
        _ => panic!("nobody made `{name}` by hand"),
    }
}

/// Grows until it may not, then gives up.
const TAKE_MEMORY: &str = "(loop $on (br_if $on (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable";
const TAKE_TABLE: &str =
    "(loop $on (br_if $on (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable";

/// A guest whose `describe` is this, and which answers nothing else.
fn guest(besides: &str, describe: &str) -> Vec<u8> {
    let text = include_str!("guest.wat").replace("{describe}", describe).replace("{besides}", besides);
    wat::parse_str(text).expect("a component")
}

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What claims to be a connector, with these sections.
fn connector(sections: &[u8]) -> Vec<u8> {
    let end = "(component (instance $i) (export \"turnbuckle:connector/connector@0.1.0\" (instance $i)))";
    let end = wat::parse_str(end).expect("a component");
    [COMPONENT, sections, &end[COMPONENT.len()..]].concat()
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// As [`leb`], where the number might be read as negative.
fn signed(number: usize) -> Vec<u8> {
    let mut bytes = leb(number);
    if bytes.last().is_some_and(|last| last & 0x40 != 0) {
        let last = bytes.len() - 1;
        bytes[last] |= 0x80;
        bytes.push(0);
    }
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], leb(content.len()).as_slice(), content].concat()
}

/// A section of a core module with these functions, none of which takes or gives anything.
fn core(bodies: &[Vec<u8>]) -> Vec<u8> {
    let count = leb(bodies.len());
    let functions = [count.clone(), vec![0; bodies.len()]].concat();
    let code = bodies.iter().flat_map(|body| [leb(body.len()), body.clone()].concat()).collect::<Vec<_>>();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 0, 0]),
        section(3, &functions),
        section(10, &[count, code].concat()),
    ];
    section(1, &module.concat())
}

/// Locals by branches: what is alive where takes a table of both.
fn huge_function() -> Vec<u8> {
    const LOCALS: usize = 49_000;
    let mut body = [vec![1], leb(LOCALS), vec![0x7f]].concat();
    for number in 0..20_000 {
        let (from, to) = (number * 7 % LOCALS, number * 13 % LOCALS);
        body.extend(
            [vec![0x20], leb(from), vec![0x04, 0x40, 0x20], leb(to), vec![0x21], leb(from), vec![0x0b]].concat(),
        );
    }
    body.push(0x0b);
    body
}

/// Five million bytes that say nearly nothing.
fn long_function() -> Vec<u8> {
    let mut body = vec![1, 1, 0x7f];
    for _ in 0..700_000 {
        // local.get 0, i32.const 1, i32.add, local.set 0
        body.extend([0x20, 0, 0x41, 1, 0x6a, 0x21, 0]);
    }
    body.push(0x0b);
    body
}

/// Lists of lists of lists.
fn deep_types(depth: usize) -> Vec<u8> {
    let mut types = vec![0x70, 0x7d];
    for below in 0..depth - 1 {
        types.extend([vec![0x70], signed(below)].concat());
    }
    types
}

/// Pairs of pairs of pairs: written out, more than there are atoms.
fn doubling_types(depth: usize) -> Vec<u8> {
    let mut types = vec![0x6f, 2, 0x7d, 0x7d];
    for below in 0..depth - 1 {
        types.extend([vec![0x6f, 2], signed(below), signed(below)].concat());
    }
    types
}

/// Components in components.
fn nested(depth: usize) -> Vec<u8> {
    let mut inner = COMPONENT.to_vec();
    for _ in 0..depth {
        inner = [COMPONENT, &section(4, &inner)].concat();
    }
    connector(&section(4, &inner))
}

fn many_imports(count: usize) -> Vec<u8> {
    let mut imports = leb(count);
    for number in 0..count {
        let name = format!("wasi:io/i{number}@0.2.0");
        imports.extend([vec![0], leb(name.len()), name.into_bytes(), vec![5, 0]].concat());
    }
    // An instance type without anything in it.
    [COMPONENT, &section(7, &[1, 0x42, 0]), &section(10, &imports)].concat()
}
