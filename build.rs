//! Rebuilds the program when a rule file is added or taken away; changes of existing ones the compiler sees itself.

#![expect(clippy::print_stdout, reason = "how build scripts speak")]

fn main() {
    println!("cargo::rerun-if-changed=rules");
}
