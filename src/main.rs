//! The `divulge` command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    divulge::cli::main()
}
