//! The very command that people use, built beside the tests so that they can run it.

fn main() {
    // Until the command is there, all that tests need of it.
    turnbuckle::compile_worker();
}
