//! Rebuilds the program when a rule file is added or taken away; changes of existing ones the compiler sees itself.

fn main() {
    println!("cargo::rerun-if-changed=rules");
}
