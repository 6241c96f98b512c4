use super::*;

/// Data (true) and zero runs as lengths.
fn shape(sparse: usize, start: u64, buffer: &[u8]) -> Vec<(bool, usize)> {
    let runs = Sparseness::new(sparse).expect("not 0").runs(start, buffer);
    let mut end = 0;
    for run in &runs {
        assert_eq!(run.range.start, end, "runs cover the buffer in order");
        end = run.range.end;
        if run.zero {
            assert!(buffer[run.range.clone()].iter().all(|byte| *byte == 0));
        }
    }
    assert_eq!(end, buffer.len());
    runs.iter()
        .map(|run| (!run.zero, run.range.len()))
        .collect()
}

/// The file that the real tool was watched with: data at odd places of 1 MiB.
fn watched() -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    for (offset, length) in [
        (0, 512),
        (8192, 512),
        (12800, 512),
        (65536, 4096),
        (132_072, 1),
        (261_632, 1024),
        (300_000, 100_000),
    ] {
        bytes[offset..offset + length].fill(0xaa);
    }
    bytes
}

fn written(sparse: usize) -> Vec<(usize, usize)> {
    let bytes = watched();
    let runs = Sparseness::new(sparse).expect("not 0").runs(0, &bytes);
    runs.into_iter()
        .filter(|run| !run.zero)
        .map(|run| (run.range.start, run.range.len()))
        .collect()
}

#[test]
fn zero_means_every_byte() {
    assert!(is_zero(&[]));
    assert!(is_zero(&[0]));
    assert!(!is_zero(&[1]));
    for place in 0..67 {
        let mut bytes = [0_u8; 67];
        assert!(is_zero(&bytes));
        bytes[place] = 1;
        assert!(!is_zero(&bytes), "byte {place}");
    }
}

#[test]
fn the_writes_are_those_that_the_real_tool_was_seen_to_make() {
    let tail = (299_008, 102_400);
    assert_eq!(
        written(4096),
        [
            (0, 4096),
            (8192, 8192),
            (65536, 4096),
            (131_072, 4096),
            (258_048, 8192),
            tail
        ]
    );
    assert_eq!(
        written(512),
        [
            (0, 512),
            (8192, 512),
            (12800, 512),
            (65536, 4096),
            (131_584, 512),
            (261_632, 1024),
            (299_520, 100_864)
        ]
    );
    assert_eq!(
        written(3072),
        [
            (0, 2048),
            (8192, 6144),
            (65536, 4096),
            (131_072, 2048),
            (260_096, 4096),
            (299_008, 102_400)
        ]
    );
    assert_eq!(
        written(12288),
        [
            (0, 16384),
            (65536, 8192),
            (131_072, 8192),
            (253_952, 16384),
            (294_912, 106_496)
        ]
    );
    assert_eq!(written(65536), [(0, 458_752)]);
    assert_eq!(written(102_400), [(0, 458_752)]);
}

#[test]
fn alignment_is_that_of_the_disk() {
    let mut bytes = vec![0; 8192];
    bytes[1023] = 1;
    assert_eq!(shape(4096, 3072, &bytes), [(true, 1024), (false, 7168)]);
    assert_eq!(shape(4096, 0, &bytes), [(true, 4096), (false, 4096)]);
    assert!(Sparseness::new(0).is_none());
}
