//! Adds the board's data about devices that a policy identifies by their names on the board.

use super::{Device, Policy, PolicyError};
use sysdesc::{Board, PAGE_SIZES};

impl Policy {
    /// Adds the board's data for each device identified by name. A line about an interrupt that arrives as another
    /// interrupt of its device is removed, because there is nothing to check.
    pub(super) fn add_devices(&mut self, board: &Board) -> Result<(), PolicyError> {
        let lines = std::mem::take(&mut self.device);
        for line in lines {
            let Some(name) = line.board.clone() else {
                self.device.push(line);
                continue;
            };
            let error = |what| PolicyError::Board {
                device: line.name.clone(),
                name: name.clone(),
                board: board.name.clone(),
                what,
            };
            let is_said = line.at.or(line.size).or(line.irq).is_some() || line.model.is_some();
            if is_said {
                return Err(error("says the same: remove model, at, size and irq"));
            }
            if !board.has_interrupt(&name) {
                return Err(error("has no interrupt of that name"));
            }
            let Some((device, irq)) = board.interrupt(&name) else {
                if line.region.is_some() {
                    return Err(error("has no registers of its own for it"));
                }
                continue;
            };
            let registers = match (&line.region, board.devices.get(&name)) {
                (None, _) => None,
                (Some(_), Some(device)) => device.address.zip(device.size),
                (Some(_), None) => return Err(error("has no device of that name")),
            };
            let [page, _] = PAGE_SIZES;
            let model = device.driver.map(|driver| driver.model().to_owned());
            self.device.push(Device {
                model,
                at: registers.map(|(at, _)| at),
                // A domain gets whole pages, which contain no other device.
                size: registers.map(|(_, size)| size.next_multiple_of(page)),
                irq: Some(irq),
                ..line
            });
        }
        Ok(())
    }
}
