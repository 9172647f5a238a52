//! The migrations are embedded in the binary, so a changed one must compile the crate again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
