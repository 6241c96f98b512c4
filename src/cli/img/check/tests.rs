use super::*;

/// The texts below are what the real tool prints for images damaged in these ways.
#[test]
fn clean_image() {
    let report = CheckReport {
        total_clusters: 32,
        allocated_clusters: 3,
        image_end_offset: 524_288,
        ..CheckReport::default()
    };
    assert_eq!(
        text(&report),
        "No errors were found on the image.\n\
         3/32 = 9.38% allocated, 0.00% fragmented, 0.00% compressed clusters\n\
         Image end offset: 524288\n"
    );
    let empty = CheckReport {
        total_clusters: 64,
        image_end_offset: 262_144,
        ..CheckReport::default()
    };
    assert_eq!(
        text(&empty),
        "No errors were found on the image.\nImage end offset: 262144\n"
    );
}

#[test]
fn errors_leaks_and_internal_errors() {
    let report = CheckReport {
        corruptions: 4,
        leaks: 3,
        check_errors: 19,
        image_end_offset: 65_536,
        ..CheckReport::default()
    };
    assert_eq!(
        text(&report),
        "\n4 errors were found on the image.\n\
         Data may be corrupted, or further writes to the image may corrupt it.\n\
         \n3 leaked clusters were found on the image.\n\
         This means waste of disk space, but no harm to data.\n\
         \n19 internal errors have occurred during the check.\n\
         Image end offset: 65536\n"
    );
}

#[test]
fn json_leaves_zero_counts_out() {
    let report = CheckReport {
        total_clusters: 64,
        corruptions: 1,
        corruptions_fixed: 1,
        leaks_fixed: 12,
        image_end_offset: 262_144,
        ..CheckReport::default()
    };
    let facts = facts(&report, "y.qcow2", "qcow2");
    let names: Vec<&str> = facts.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "image-end-offset",
            "total-clusters",
            "corruptions",
            "corruptions-fixed",
            "check-errors",
            "leaks-fixed",
            "filename",
            "format"
        ]
    );
}

#[test]
fn repair_argument() {
    assert_eq!(parse_repair("all").unwrap(), Repair::All);
    assert!(matches!(
        parse_repair("zork"),
        Err(Failure::Usage(words)) if words == "--repair (-r) expects 'leaks' or 'all' not 'zork'"
    ));
}
