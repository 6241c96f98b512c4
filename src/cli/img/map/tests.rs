use super::{human, json};
use crate::job::map::{Place, Run};

fn run() -> Run {
    Run {
        length: 65536,
        present: true,
        data: true,
        place: Some(Place {
            offset: 327_680,
            filename: "m.qcow2".to_owned(),
        }),
        ..Run::default()
    }
}

#[test]
fn rows_have_columns_of_sixteen() {
    let words = "0               0x10000         0x50000         m.qcow2\n";
    assert_eq!(human(&run()).expect("its place is known"), words);
}

#[test]
fn rows_are_for_data_that_lies_there_as_it_is() {
    let zero = Run {
        zero: true,
        ..run()
    };
    assert_eq!(human(&zero).expect("nothing to say"), "");
    let nowhere = Run {
        place: None,
        ..run()
    };
    assert!(human(&nowhere).is_err());
}

#[test]
fn json_has_one_line_a_run() {
    assert_eq!(
        json(&run(), true),
        "{ \"start\": 0, \"length\": 65536, \"depth\": 0, \"present\": true, \"zero\": false, \
         \"data\": true, \"compressed\": false, \"offset\": 327680}]\n"
    );
}
