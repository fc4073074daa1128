//! The program with the built-in drivers. Another binary adds its own: see [`tillswitch::main`].

fn main() -> std::process::ExitCode {
    tillswitch::main(tillswitch::drivers::builtin())
}
