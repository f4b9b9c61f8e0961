//! Spellings of addresses: each of the ways in which a parser somewhere was once made to read one address and dial another.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host of a URL, and where a client goes that takes it for an address. None: it is not one, whoever reads it rightly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spelling {
    pub(crate) host: String,
    pub(crate) meant: Option<IpAddr>,
}

/// One or more of each range that is no public one, with the places where clouds keep their metadata.
pub(crate) const V4: [[u8; 4]; 19] = [
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [0, 0, 0, 0],
    [10, 66, 0, 1],
    [172, 16, 0, 9],
    [172, 31, 255, 255],
    [192, 168, 7, 7],
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [100, 100, 100, 200],
    [100, 64, 0, 1],
    [192, 0, 0, 192],
    [198, 18, 0, 1],
    [192, 0, 2, 1],
    [203, 0, 113, 7],
    [224, 0, 0, 1],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
    [168, 63, 129, 16],
];

/// The same of IPv6.
pub(crate) const V6: [&str; 15] = [
    "::1",
    "::",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "100::1",
    "3fff::1",
    "2001:2::1",
];

/// All of them, each once.
pub(crate) fn all() -> Vec<Spelling> {
    let v4 = V4.iter().flat_map(|octets| v4(*octets));
    let v6 = V6.iter().flat_map(|text| v6(text.parse().unwrap()));
    v4.chain(v6).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What an address of IPv4 looks like inside one of IPv6, with whoever would bring it back out.
pub(crate) fn embedded(address: Ipv4Addr) -> Vec<(&'static str, Ipv6Addr)> {
    let bits = address.to_bits();
    let (high, low) = ((bits >> 16) as u16, bits as u16);
    vec![
        ("mapped", Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low)),
        ("compatible", Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)),
        ("SIIT", Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low)),
        ("NAT64", Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)),
        ("NAT64 of a network's own", Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low)),
        ("6to4", Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)),
        ("Teredo", Ipv6Addr::new(0x2001, 0, 0x5db8, 0xd822, 0, 0, !high, !low)),
        ("ISATAP", Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0x5efe, high, low)),
        ("ISATAP of a universal address", Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0x200, 0x5efe, high, low)),
    ]
}

fn v4(octets: [u8; 4]) -> Vec<Spelling> {
    let address = Ipv4Addr::from(octets);
    let whole = address.to_bits();
    let [a, b, c, d] = octets;
    let (last2, last3) = (whole & 0xffff, whole & 0x00ff_ffff);
    let dotted = address.to_string();
    // Numbers in each of the bases, whole and in parts.
    let mut same = vec![
        dotted.clone(),
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("0X{whole:X}"),
        format!("0x{whole:016x}"),
        format!("0{whole:o}"),
        format!("0000{whole:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0X{a:X}.0X{b:X}.0X{c:X}.0X{d:X}"),
        format!("{a:#06x}.{b:#06x}.{c:#06x}.{d:#06x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.000{b:o}.000{c:o}.000{d:o}"),
        format!("{a}.{b:#x}.0{c:o}.{d}"),
        format!("{a:#x}.{b}.{c}.0{d:o}"),
        format!("0{a:o}.{b:#x}.{c}.{d:#x}"),
        format!("0{a:o}.{b}.{last2}"),
        format!("{a}.{b}.{last2}"),
        format!("{a:#x}.{b:#x}.{last2:#x}"),
        format!("0{a:o}.0{b:o}.0{last2:o}"),
        format!("{a}.{last3}"),
        format!("{a:#x}.{last3:#x}"),
        format!("0{a:o}.0{last3:o}"),
        format!("{a}.{last3:#x}"),
        format!("{dotted}."),
        format!("{whole}."),
        format!("{whole:#x}."),
    ];
    // The same characters in other clothes, which names of other languages wear off.
    let worn = |digit: fn(u32) -> char, dot: &str| {
        dotted.chars().map(|c| c.to_digit(10).map_or_else(|| dot.to_owned(), |n| digit(n).to_string())).collect()
    };
    let plain = |n| char::from_digit(n, 10).unwrap();
    let clothes: [String; 12] = [
        worn(|n| char::from_u32(0xff10 + n).unwrap(), "."),
        worn(|n| char::from_u32(0xff10 + n).unwrap(), "\u{3002}"),
        worn(plain, "\u{3002}"),
        worn(plain, "\u{ff0e}"),
        worn(plain, "\u{ff61}"),
        worn(|n| if n == 0 { '\u{24ea}' } else { char::from_u32(0x245f + n).unwrap() }, "."),
        worn(|n| char::from_u32(0x1d7ce + n).unwrap(), "."),
        worn(|n| char::from_u32(0x1d7d8 + n).unwrap(), "\u{ff0e}"),
        worn(|n| ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][n as usize], "."),
        worn(|n| char::from_u32(0x2080 + n).unwrap(), "\u{3002}"),
        dotted.replace('.', "\u{ad}."),
        dotted.replace('.', ".\u{200b}"),
    ];
    same.extend(clothes);
    same.push(format!("0\u{ff58}{whole:x}"));
    // Percent-encoding, which a URL's host is freed of.
    same.push(dotted.bytes().map(|byte| format!("%{byte:02X}")).collect());
    same.push(dotted.replace('.', "%2e"));
    same.push(dotted.replace('.', "%E3%80%82"));
    same.push(format!("%3{}{}", &dotted[..1], &dotted[1..]));
    same.push(format!("{whole:#x}").replace('x', "%78"));
    let mut all: Vec<_> = same.into_iter().map(|host| Spelling { host, meant: Some(IpAddr::V4(address)) }).collect();
    // What is no address, though lenient readers make one of it.
    let wrong = [
        format!("{}", u64::from(whole) + (1 << 32)),
        format!("{:#x}", u64::from(whole) + (1 << 32)),
        format!("0{:o}", u64::from(whole) + (1 << 32)),
        format!("{}.{b}.{c}.{d}", u16::from(a) + 256),
        format!("{a}.{b}.{c}.{}", u16::from(d) + 256),
        format!("{a}.{}", last3 + (1 << 24)),
        format!("{dotted}.."),
        format!(".{dotted}"),
        dotted.replacen('.', "..", 1),
        format!("{dotted}.0"),
        format!("{a}.{b}.{c}.{d}g"),
        format!("{a:#x}.{b:#x}.{c:#x}.0xg{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.09"),
        format!("-{whole}"),
        format!("+{whole}"),
        format!("{dotted}%00"),
        format!("{dotted}%0d%0a"),
        format!("{dotted}%20"),
        format!("{dotted}%2f"),
        format!("[{dotted}]"),
        format!("[{whole}]"),
        format!("[::ffff:{whole}]"),
        format!("[::ffff:{a:x}.{b:x}.{c:x}.{d:x}g]"),
    ];
    all.extend(wrong.into_iter().map(|host| Spelling { host, meant: None }));
    all.extend(leading_zeros(octets));
    for (_, address) in embedded(address) {
        all.extend(v6(address).into_iter().step_by(4));
        // As people write it that want to be understood.
        let [p, q, r, s, t, u, _, _] = address.segments();
        let spelled = format!("[{p:x}:{q:x}:{r:x}:{s:x}:{t:x}:{u:x}:{dotted}]");
        if address.to_bits() as u32 == whole {
            all.push(Spelling { host: spelled, meant: Some(IpAddr::V6(address)) });
        }
    }
    all
}

/// Decimal to whoever wrote it, octal to whoever reads it: what is dialled is what was judged, whichever that is.
fn leading_zeros(octets: [u8; 4]) -> Vec<Spelling> {
    let padded = octets.map(|octet| format!("{octet:03}"));
    let octal = octets.map(|octet| match octet {
        100.. => Some(u32::from(octet)),
        _ => u32::from_str_radix(&octet.to_string(), 8).ok(),
    });
    let meant = match octal {
        [Some(a), Some(b), Some(c), Some(d)] => Some(IpAddr::from([a as u8, b as u8, c as u8, d as u8])),
        _ => None,
    };
    vec![Spelling { host: padded.join("."), meant }]
}

fn v6(address: Ipv6Addr) -> Vec<Spelling> {
    let segments = address.segments();
    let full: Vec<_> = segments.iter().map(|segment| format!("{segment:04x}")).collect();
    let short: Vec<_> = segments.iter().map(|segment| format!("{segment:x}")).collect();
    let same = [
        format!("[{address}]"),
        format!("[{}]", full.join(":")),
        format!("[{}]", full.join(":").to_uppercase()),
        format!("[{}]", short.join(":")),
        format!("[{}]", short.join(":").to_uppercase()),
    ];
    let wrong = [
        format!("[{address}%25lo]"),
        format!("[{address}%lo]"),
        format!("[{address}%251]"),
        format!("[{address}"),
        format!("{address}]"),
        format!("%5B{address}%5D"),
        format!("[{address}]."),
        format!("[[{address}]]"),
        format!("[0:{}]", short.join(":")),
        format!("[v1.{address}]"),
    ];
    let same = same.into_iter().map(|host| Spelling { host, meant: Some(IpAddr::V6(address)) });
    let wrong = wrong.into_iter().map(|host| Spelling { host, meant: None });
    same.chain(wrong).collect()
}

/// Whether nobody but this machine, its network or a cloud answers there. Told by other means than the host's own table.
pub(crate) fn is_forbidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            a == 0
                || address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_documentation()
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a, b, c) == (192, 0, 0)
                || address.octets() == [168, 63, 129, 16]
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            let embeds = V4
                .iter()
                .any(|octets| embedded(Ipv4Addr::from(*octets)).iter().any(|(_, dressed)| *dressed == address));
            embeds
                || !(0x2000..0x4000).contains(&segments[0])
                || (segments[0] == 0x2001 && segments[1] < 0x200)
                || (segments[0] == 0x2001 && segments[1] == 0xdb8)
                || segments[0] == 0x2002
                || segments[0] == 0x3fff
        }
    }
}

#[test]
fn there_are_as_many_spellings_as_are_promised_and_each_means_one_address() {
    let all = all();
    let v4 = all.iter().filter(|spelling| matches!(spelling.meant, Some(IpAddr::V4(_)))).count();
    let v6 = all.iter().filter(|spelling| matches!(spelling.meant, Some(IpAddr::V6(_)))).count();
    let none = all.iter().filter(|spelling| spelling.meant.is_none()).count();
    assert!(v4 >= 600 && v6 >= 300 && none >= 300, "{v4} of IPv4, {v6} of IPv6, {none} of none");
    for spelling in &all {
        // Only zeros in front make another address of it.
        let other = spelling.meant.is_some_and(|meant| !is_forbidden(meant));
        assert!(!other || spelling.host.starts_with('0') || spelling.host.contains(".0"), "{spelling:?}");
    }
}
