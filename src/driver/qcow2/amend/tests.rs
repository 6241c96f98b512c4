//! Against the real tool: the same change of the same image gives the same bytes.

use std::sync::Mutex;

use crate::base::Result;
use crate::crypto::secret::SecretStore;
use crate::driver::qcow2::workshop::{Workshop, assert_same_bytes};
use crate::node::{AmendRequest, Node};

/// `name=value` pairs as `amend -o` takes them.
fn set(request: &mut AmendRequest<'_>, options: &str) {
    for pair in options.split(',') {
        let (name, value) = pair.split_once('=').unwrap();
        match name {
            "compat" => request.compat = Some(value.to_owned()),
            "size" => request.size = Some(value.parse().unwrap()),
            "refcount_bits" => request.refcount_bits = Some(value.parse().unwrap()),
            "lazy_refcounts" => request.lazy_refcounts = Some(value == "on"),
            "backing_file" => request.backing_file = Some(value.to_owned()),
            "backing_fmt" => request.backing_format = Some(value.to_owned()),
            "data_file" => request.data_file = Some(value.to_owned()),
            "data_file_raw" => request.data_file_raw = Some(value == "on"),
            _ => panic!("{name}"),
        }
    }
}

fn amend(workshop: &Workshop, name: &str, options: &str) -> Result<()> {
    let image = workshop.open_writable(name);
    let secrets = SecretStore::default();
    let mut request = AmendRequest::new(&secrets, &|_, _| ());
    set(&mut request, options);
    let amended = image.amend(&request);
    let closed = image.close();
    amended.and(closed)
}

/// Does each change by both, and compares words and bytes after each.
fn compare(workshop: &Workshop, changes: &[&str]) {
    workshop.copy("start.img", "real.img");
    workshop.copy("start.img", "ours.img");
    for change in changes {
        let real = workshop.try_tool(
            "qemu-img",
            &["amend", "-f", "qcow2", "-o", change, "real.img"],
        );
        let ours = amend(workshop, "ours.img", change);
        let words = match &ours {
            Ok(()) => String::new(),
            Err(error) => {
                let hints = [error.hints(), &[String::new()]].concat().join("\n");
                format!("qemu-img: {error}\n{hints}")
            }
        };
        assert_eq!(words, String::from_utf8_lossy(&real.stderr), "{change}");
        assert_same_bytes(
            &workshop.bytes("ours.img"),
            &workshop.bytes("real.img"),
            &format!("{changes:?}, after {change}"),
        );
        workshop.img_line("check -q ours.img");
    }
}

#[test]
fn versions_and_lazy_refcounts_change_like_the_real_tools() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 start.img 1M");
    workshop.io(
        "start.img",
        &["write -P 1 0 128k", "write -z 256k 64k", "write -z 0 64k"],
    );
    compare(
        &workshop,
        &[
            "compat=0.10",
            "compat=1.1",
            "lazy_refcounts=on",
            "lazy_refcounts=off",
        ],
    );
    compare(
        &workshop,
        &["lazy_refcounts=on", "compat=0.10", "lazy_refcounts=on"],
    );
    compare(
        &workshop,
        &[
            "compat=0.10,size=2097152",
            "compat=v3,lazy_refcounts=on,refcount_bits=8",
        ],
    );
    compare(&workshop, &["size=524288", "size=0", "size=513"]);
}

#[test]
fn refcount_widths_change_like_the_real_tools() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 start.img 1M");
    workshop.io("start.img", &["write -P 1 0 128k"]);
    for bits in [1, 2, 4, 8, 32, 64] {
        let there = format!("refcount_bits={bits}");
        compare(&workshop, &[&there, "refcount_bits=16"]);
    }
    workshop.img_line("create -q -f qcow2 -o cluster_size=512 start.img 16M");
    workshop.io("start.img", &["write -P 1 0 3M"]);
    compare(
        &workshop,
        &["refcount_bits=64", "refcount_bits=1", "refcount_bits=16"],
    );
}

#[test]
fn a_count_that_does_not_fit_leaves_the_image_usable() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 start.img 1M");
    workshop.io("start.img", &["write -P 1 0 128k"]);
    workshop.img_line("snapshot -c one start.img");
    compare(
        &workshop,
        &["refcount_bits=1", "refcount_bits=2", "refcount_bits=1"],
    );
}

#[test]
fn refusals_come_in_the_real_tools_order() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 start.img 1M");
    compare(
        &workshop,
        &[
            "compat=0.9,refcount_bits=7",
            "refcount_bits=7,data_file_raw=on",
            "compat=0.10,refcount_bits=7",
            "compat=0.10,refcount_bits=1",
            "compat=0.10,refcount_bits=1,data_file=x",
            "backing_file=x,lazy_refcounts=on",
            "backing_fmt=raw",
            "data_file_raw=off",
            "refcount_bits=1,backing_file=x",
            "compat=0.10",
        ],
    );
}

#[test]
fn zero_clusters_of_snapshots_read_as_before_in_version_2() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 base.img 1M");
    workshop.io("base.img", &["write -P 7 0 1M"]);
    for create in [
        "create -q -f qcow2 start.img 1M",
        "create -q -f qcow2 -b base.img -F qcow2 start.img",
    ] {
        workshop.img_line(create);
        workshop.io(
            "start.img",
            &[
                "write -P 1 0 128k",
                "write -z 256k 64k",
                "write -P 3 640k 64k",
            ],
        );
        workshop.img_line("snapshot -c one start.img");
        workshop.io(
            "start.img",
            &["write -z 640k 64k", "write -z 0 64k", "write -P 4 512k 64k"],
        );
        workshop.img_line("snapshot -c two start.img");
        workshop.io("start.img", &["write -z 0 1M"]);
        workshop.copy("start.img", "ours.img");
        amend(&workshop, "ours.img", "compat=0.10").unwrap();
        workshop.img_line("check -q ours.img");
        workshop.img_line("compare -q start.img ours.img");
        for snapshot in ["one", "two"] {
            for image in ["start", "ours"] {
                workshop.img_line(&format!(
                    "convert -l snapshot.name={snapshot} -O raw {image}.img {image}.raw"
                ));
            }
            assert_eq!(
                workshop.bytes("start.raw"),
                workshop.bytes("ours.raw"),
                "{snapshot}"
            );
        }
    }
}

#[test]
fn an_image_stays_usable_after_its_width_and_version_changed() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 start.img 4M");
    let image = workshop.open_writable("start.img");
    let secrets = SecretStore::default();
    for change in [
        "refcount_bits=64",
        "refcount_bits=16,compat=0.10",
        "compat=1.1,refcount_bits=1",
    ] {
        let mut request = AmendRequest::new(&secrets, &|_, _| ());
        set(&mut request, change);
        image.amend(&request).unwrap();
        let at = crate::base::GuestOffset::new(image.allocated_bytes().unwrap_or(0) % (2 << 20));
        image.write_at(at, &vec![9; 200_000]).unwrap();
        image
            .write_zeroes(at, 65536, crate::node::ZeroFlags::empty())
            .unwrap();
    }
    image.close().unwrap();
    workshop.img_line("check -q start.img");
}

#[test]
fn progress_of_several_phases_is_told_as_the_real_tools_tell_it() {
    let Some(workshop) = Workshop::new() else {
        return;
    };
    workshop.img_line("create -q -f qcow2 -o compat=0.10 start.img 1M");
    let image = workshop.open_writable("start.img");
    let told = Mutex::new(Vec::new());
    let tell = |done, total| told.lock().unwrap().push((done, total));
    let secrets = SecretStore::default();
    let mut request = AmendRequest::new(&secrets, &tell);
    set(&mut request, "compat=1.1,refcount_bits=8");
    image.amend(&request).unwrap();
    image.close().unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!(told[..4], [(0, 4), (1, 4), (2, 4), (2, 2 + 3 * 8192)]);
    assert_eq!(told.last(), Some(&(2 + 3 * 8192, 2 + 3 * 8192)));
}
