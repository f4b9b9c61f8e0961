//! The `turnbuckle` binary.

fn main() -> std::process::ExitCode {
    turnbuckle_cli::main()
}
