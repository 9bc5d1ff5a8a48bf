extern crate std;
use super::*;

#[test]
fn kinds_come_back_from_their_numbers() {
    for &kind in Kind::ALL {
        assert_eq!(Kind::from_u16(kind as u16), Some(kind));
    }
    assert_eq!(Kind::from_u16(0), None);
    let names: std::collections::HashSet<_> = Kind::ALL.iter().map(|k| k.as_str()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[test]
fn a_new_record_has_its_kind_and_version_and_zeros() {
    let bytes = Record::new(Kind::Boot).to_bytes();
    assert_eq!(bytes[..4], [5, 0, 1, 0]);
    assert!(bytes[4..].iter().all(|byte| *byte == 0));
}

#[test]
fn bytes_that_are_too_few_or_have_a_wrong_name_are_no_record() {
    let mut bytes = Record::new(Kind::Boot).to_bytes();
    assert!(Record::read_prefix(&bytes).is_some());
    assert_eq!(Record::read_prefix(&bytes[1..]), None);
    bytes[64] = b'"';
    assert_eq!(Record::read_prefix(&bytes), None);
}
