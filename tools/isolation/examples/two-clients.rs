//! Prints the description with two clients that the tests make of the one that is given on standard input: for
//! `make isolation-fixture`, which has the Microkit tool make an image of it.

#[path = "../tests/two_clients/mod.rs"]
#[allow(dead_code, reason = "the policy is for the tests")]
mod two_clients;

fn main() -> std::io::Result<()> {
    let one = std::io::read_to_string(std::io::stdin())?;
    print!("{}", two_clients::system(&one));
    Ok(())
}
