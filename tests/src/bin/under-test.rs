//! The very command that people use, built beside the tests so that they can run it.

fn main() -> std::process::ExitCode {
    turnbuckle_cli::main()
}
