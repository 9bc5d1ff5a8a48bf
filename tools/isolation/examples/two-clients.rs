//! Reads a description from standard input and prints it with a second client, as the tests make it. `make
//! isolation-fixture` builds the image of the fixture from the output.

#[path = "../tests/two_clients/mod.rs"]
#[allow(dead_code, reason = "the policy is for the tests")]
mod two_clients;

fn main() -> std::io::Result<()> {
    let one = std::io::read_to_string(std::io::stdin())?;
    print!("{}", two_clients::system(&one));
    Ok(())
}
