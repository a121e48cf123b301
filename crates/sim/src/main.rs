//! The command line of the simulator: many seeds, or one again.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
