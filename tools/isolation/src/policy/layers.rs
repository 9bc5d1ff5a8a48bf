//! A policy in several files: the first is complete, and each of the others only gives what its system adds or changes.
//!
//! In a table, later keys replace earlier ones. In an array of tables, an entry with the name of an existing one
//! changes its keys, and any other entry is added. Within one file nothing is replaced: two entries with one name stay
//! two, which the claims refuse.

use super::{Policy, PolicyError};
use sysdesc::Board;
use toml::{Table, Value};

/// The key that names an entry of an array.
fn name_of(array: &str) -> &'static str {
    match array {
        "channel" => "between",
        "client" => "domain",
        "shared" | "private" | "constant" => "region",
        "control" => "child",
        _ => "name",
    }
}

/// Reads one file.
///
/// # Errors
/// It is not TOML.
pub fn read(text: &str) -> Result<Table, PolicyError> {
    Ok(text.parse::<Table>()?)
}

impl Policy {
    /// A policy in one file or several, as [`read`] gave them.
    ///
    /// # Errors
    /// Together they are not a policy.
    pub fn of_layers(
        layers: impl IntoIterator<Item = Table>,
        board: &Board,
    ) -> Result<Self, PolicyError> {
        let mut whole = Table::new();
        for layer in layers {
            lay_over(&mut whole, layer);
        }
        Self::complete(whole.try_into()?, board)
    }
}

fn lay_over(whole: &mut Table, layer: Table) {
    for (name, value) in layer {
        match (whole.get_mut(&name), value) {
            (Some(Value::Table(there)), Value::Table(new)) => there.extend(new),
            (Some(Value::Array(there)), Value::Array(new)) => add(there, new, name_of(&name)),
            (_, value) => {
                whole.insert(name, value);
            }
        }
    }
}

fn add(there: &mut Vec<Value>, new: Vec<Value>, key: &str) {
    let before = there.len();
    for entry in new {
        let name = entry.get(key);
        let same = |other: &&mut Value| name.is_some() && other.get(key) == name;
        let changed = there.iter_mut().take(before).find(same);
        match (changed, entry) {
            (Some(Value::Table(changed)), Value::Table(entry)) => changed.extend(entry),
            (_, entry) => there.push(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{lay_over, read};

    fn together(base: &str, layer: &str) -> toml::Table {
        let mut whole = read(base).unwrap();
        lay_over(&mut whole, read(layer).unwrap());
        whole
    }

    #[test]
    fn a_layer_changes_the_keys_that_it_names_and_adds_the_rest() {
        let base = "[mediation]\nmediator = 'audit'\ntrusted = ['monitor']\n\
            [[domain]]\nname = 'audit'\nprogram = 'audit.elf'\nfpu = false\n";
        let layer = "[mediation]\ntrusted = ['monitor', 'disk']\n\
            [[domain]]\nname = 'audit'\nprogram = 'other.elf'\n[[domain]]\nname = 'disk'\n";
        let expected = "[mediation]\nmediator = 'audit'\ntrusted = ['monitor', 'disk']\n\
            [[domain]]\nname = 'audit'\nprogram = 'other.elf'\nfpu = false\n[[domain]]\nname = 'disk'\n";
        assert_eq!(together(base, layer), read(expected).unwrap());
    }

    #[test]
    fn two_entries_of_one_name_in_one_file_stay_two() {
        let twice = "[[domain]]\nname = 'disk'\n[[domain]]\nname = 'disk'\n";
        let whole = together("[[domain]]\nname = 'audit'\n", twice);
        assert_eq!(whole["domain"].as_array().unwrap().len(), 3);
        assert_eq!(together("", twice), read(twice).unwrap());
    }
}
