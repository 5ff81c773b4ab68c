//! Tells the interpreter whether it may rely on sibling calls becoming jumps: LLVM does that from `-O2` on.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(threaded)");
    println!("cargo::rerun-if-changed=build.rs");
    if matches!(std::env::var("OPT_LEVEL").as_deref(), Ok("2" | "3")) {
        println!("cargo::rustc-cfg=threaded");
    }
}
