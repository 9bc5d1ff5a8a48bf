//! Numbers, sizes and places.

use super::*;

#[test]
fn a_region_of_more_pages_than_a_board_has_is_refused() {
    let (line, _, problem) = refused("size=\"0x2_000\"", "size=\"0x80001000\"");
    let (pages, most) = (0x8_0001, 0x8_0000);
    assert_eq!((line, problem), (4, Problem::TooManyPages { pages, most }));
}

#[test]
fn a_region_without_page_size_is_told_from_one_with_the_smallest() {
    let whole = System::parse(WHOLE).unwrap();
    let given = |name: &str| whole.region(name).unwrap().has_page_size;
    assert_eq!((given("ring"), given("store")), (false, true));
}

#[test]
fn values_out_of_range_are_refused_with_their_range() {
    for (from, to, attribute, value) in [
        ("priority=\"120\"", "priority=\"255\"", "priority", "255"),
        ("priority=\"120\"", "priority=\"-1\"", "priority", "-1"),
        ("priority=\"120\"", "priority=\"+1\"", "priority", "+1"),
        ("fpu=\"false\"", "cpu=\"4\"", "cpu", "4"),
        ("size=\"0x2_000\"", "size=\"0\"", "size", "0"),
        ("size=\"0x2_000\"", "size=\"0X2000\"", "size", "0X2000"),
        ("size=\"0x2_000\"", "size=\"0x\"", "size", "0x"),
        (
            "size=\"0x2_000\"",
            "size=\"99999999999999999999\"",
            "size",
            "99999999999999999999",
        ),
        (
            "vaddr=\"0x11000000\"",
            "vaddr=\"0x10000000000\"",
            "vaddr",
            "0x10000000000",
        ),
        (
            "stack_size=\"0x10000\"",
            "stack_size=\"0x800\"",
            "stack_size",
            "0x800",
        ),
        ("id=\"61\"", "id=\"62\"", "id", "62"),
        ("id=\"7\"", "id=\"62\"", "id", "62"),
        ("irq=\"34\"", "irq=\"1020\"", "irq", "1020"),
        ("budget=\"10000\"", "budget=\"0\"", "budget", "0"),
        (
            "phys_addr=\"0x9000000\"",
            "phys_addr=\"0xffffffffffffffff\"",
            "phys_addr",
            "0xffffffffffffffff",
        ),
    ] {
        match refused(from, to).2 {
            Problem::Number {
                attribute: found,
                value: written,
                ..
            } => {
                assert_eq!((found, written.as_str()), (attribute, value));
            }
            other => panic!("{to}: {other:?}"),
        }
    }
    let text = text("id=\"61\"", "id=\"62\"");
    assert_eq!(
        text,
        "line 23, column 9, element 'end': attribute 'id' is '62', not a number from 0 to 61"
    );
}

#[test]
fn alignment_overlap_and_range_are_checked() {
    assert_eq!(
        refused("size=\"0x2_000\"", "size=\"0x1800\"").2,
        Problem::Alignment {
            attribute: "size",
            value: 0x1800,
            unit: 0x1000
        }
    );
    assert_eq!(
        refused("vaddr=\"0x30000000\"", "vaddr=\"0x30001000\"").2,
        Problem::Alignment {
            attribute: "vaddr",
            value: 0x3000_1000,
            unit: 0x20_0000
        }
    );
    assert_eq!(
        refused("phys_addr=\"0x9000000\"", "phys_addr=\"0x9000800\"").2,
        Problem::Alignment {
            attribute: "phys_addr",
            value: 0x900_0800,
            unit: 0x1000
        }
    );
    let (start, end, other) = (0x1100_0000, 0x1140_0000, "ring".to_owned());
    let overlap = Problem::Overlap { start, end, other };
    assert_eq!(
        refused("vaddr=\"0x30000000\"", "vaddr=\"0x11000000\"").2,
        overlap
    );
    let second = "<map mr=\"uart\" vaddr=\"0x11001000\" /><irq ";
    let (line, _, problem) = refused("<irq ", second);
    let (start, end, other) = (0x1100_1000, 0x1100_2000, "ring".to_owned());
    assert_eq!(
        (line, problem),
        (10, Problem::Overlap { start, end, other })
    );
    let devices =
        "<memory_region name=\"watchdog\" size=\"0x2000\" phys_addr=\"0x8fff000\"/><channel>";
    assert!(matches!(
        refused("<channel>", devices).2,
        Problem::Overlap { .. }
    ));
    let (start, size, limit) = (0xff_ffe0_0000, 0x40_0000, 1 << 40);
    let out = Problem::OutOfRange { start, size, limit };
    assert_eq!(
        refused("vaddr=\"0x30000000\"", "vaddr=\"0xffffe00000\"").2,
        out
    );
    assert_eq!(
        refused("period=\"20000\"", "period=\"9999\"").2,
        Problem::BudgetOverPeriod {
            budget: 10000,
            period: 9999
        }
    );
}
