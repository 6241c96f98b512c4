//! Bitmaps against the real tools: the same steps leave the same file.

use super::super::Qcow2;
use super::super::workshop::{Workshop, assert_same_bytes};
use crate::base::GuestOffset;
use crate::node::{BitmapChange, Node, Preallocation};

const K: u64 = 1 << 10;
const M: u64 = 1 << 20;

/// One session of a tool with the image open for writing.
struct Step {
    /// The tool and its arguments before the image's name.
    real: &'static [&'static str],
    /// What comes behind the name.
    name: &'static str,
    ours: fn(&Qcow2),
}

fn write(image: &Qcow2, offset: u64, length: u64) {
    let data = vec![0xcd; usize::try_from(length).unwrap()];
    image.write_at(GuestOffset::new(offset), &data).unwrap();
}

fn steps() -> Vec<Step> {
    vec![
        Step {
            real: &["qemu-img", "bitmap", "--add"],
            name: "b0",
            ours: |image| image.bitmap_add("b0", None, true).unwrap(),
        },
        Step {
            real: &["qemu-io", "-c", "write 100k 64k"],
            name: "",
            ours: |image| write(image, 100 * K, 64 * K),
        },
        Step {
            real: &["qemu-img", "bitmap", "--add", "-g", "512"],
            name: "b1",
            ours: |image| image.bitmap_add("b1", Some(512), true).unwrap(),
        },
        Step {
            real: &["qemu-io", "-c", "write 1M 1k", "-c", "write -z 3M 64k"],
            name: "",
            ours: |image| {
                write(image, M, K);
                let flags = crate::node::ZeroFlags::empty();
                image
                    .write_zeroes(GuestOffset::new(3 * M), 64 * K, flags)
                    .unwrap();
            },
        },
        Step {
            real: &["qemu-img", "bitmap", "--clear", "--disable"],
            name: "b0",
            ours: |image| {
                image.bitmap_change("b0", BitmapChange::Clear).unwrap();
                image.bitmap_change("b0", BitmapChange::Disable).unwrap();
            },
        },
        Step {
            real: &["qemu-io", "-c", "write 5M 1k"],
            name: "",
            ours: |image| write(image, 5 * M, K),
        },
        Step {
            real: &["qemu-img", "bitmap", "--merge", "b1"],
            name: "b0",
            ours: |image| {
                let bits = image.bitmap_bits("b1").unwrap();
                image.bitmap_merge("b0", &bits).unwrap();
            },
        },
        Step {
            real: &["qemu-img", "resize", "-q"],
            name: "20M",
            ours: |image| image.resize(20 * M, Preallocation::Off).unwrap(),
        },
        Step {
            real: &["qemu-img", "bitmap", "--remove"],
            name: "b0",
            ours: |image| image.bitmap_remove("b0").unwrap(),
        },
        Step {
            real: &["qemu-img", "bitmap", "--remove"],
            name: "b1",
            ours: |image| image.bitmap_remove("b1").unwrap(),
        },
    ]
}

#[test]
fn every_step_leaves_the_real_tools_bytes() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    for options in ["cluster_size=64k", "cluster_size=512"] {
        workshop.img(&["create", "-q", "-f", "qcow2", "-o", options, "real", "10M"]);
        workshop.copy("real", "ours");
        for (number, step) in steps().into_iter().enumerate() {
            let (tool, arguments) = step.real.split_first().unwrap();
            let mut arguments = arguments.to_vec();
            arguments.push("real");
            if !step.name.is_empty() {
                arguments.push(step.name);
            }
            workshop.tool(tool, &arguments);
            let image = workshop.open_writable("ours");
            (step.ours)(&image);
            image.close().unwrap();
            let what = format!("{options}, step {number}");
            assert_same_bytes(&workshop.bytes("ours"), &workshop.bytes("real"), &what);
        }
        workshop.img(&["check", "-q", "-f", "qcow2", "ours"]);
    }
}

#[test]
fn an_image_that_is_not_closed_has_its_bitmaps_in_use() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 i 10M");
    workshop.img_line("bitmap --add i b0");
    let image = workshop.open_writable("i");
    write(&image, 0, K);
    image.flush().unwrap();
    workshop.copy("i", "crashed");
    image.close().unwrap();
    assert!(workshop.img_line("info crashed").contains("in-use"));
    assert!(!workshop.img_line("info i").contains("in-use"));
    let crashed = workshop.open_writable("crashed");
    assert!(crashed.bitmaps()[0].inconsistent);
    let refused = crashed.resize(20 * M, Preallocation::Off).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Bitmap 'b0' is inconsistent and cannot be used"
    );
    crashed.bitmap_remove("b0").unwrap();
    crashed.close().unwrap();
    workshop.img_line("check -q -f qcow2 crashed");
}

#[test]
fn a_writer_without_bitmaps_is_noticed() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 i 10M");
    workshop.img_line("bitmap --add i b0");
    // Such a writer clears the autoclear bits.
    workshop.patch("i", &[(88, &[0; 8])]);
    let image = workshop.open_writable("i");
    assert!(image.bitmaps().is_empty());
    write(&image, 0, K);
    image.close().unwrap();
    assert!(!workshop.img_line("info i").contains("bitmaps"));
}
