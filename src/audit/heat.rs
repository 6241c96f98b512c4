//! The picture: the guest disk in strips, a row a state.

use serde::Serialize;

use super::disk::{Cluster, Disk};

/// Cells of a row.
const COLUMNS: u64 = 256;
/// Rows at most: further snapshots are counted, not drawn.
const ROWS_MAX: usize = 64;

/// One piece of the disk in one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Clusters stored.
    pub stored: u64,
    /// Clusters whose key and IV another state uses too, at another place.
    pub shared: u64,
    /// Clusters whose ciphertext was seen to have equal blocks at another place.
    pub proven: u64,
    /// Clusters stored compressed.
    pub compressed: u64,
    /// Where the first of the worst clusters lies: guest, host.
    pub place: Option<(u64, u64)>,
    /// The other place of that cluster: row, host.
    pub other: Option<(usize, u64)>,
}

/// One state of the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The layer's name.
    pub name: String,
    /// The disk.
    pub disk: Vec<Cell>,
    /// The machine's memory.
    pub vm_state: Vec<Cell>,
}

/// The picture's data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Heat {
    /// Bytes of the disk.
    pub disk_end: u64,
    /// Guest bytes that a cell stands for.
    pub cell_bytes: u64,
    /// Guest offset of the first cell of VM state.
    pub vm_start: Option<u64>,
    /// Guest bytes that a cell of VM state stands for.
    pub vm_cell_bytes: u64,
    /// Rows.
    pub rows: Vec<Row>,
    /// States that are not drawn.
    pub hidden_rows: usize,
}

impl Heat {
    /// An empty picture of `disk`.
    pub fn new(disk: &dyn Disk) -> Self {
        let end = disk.disk_end();
        let layers = disk.layers();
        let unit = disk.cluster_size();
        let vm_bytes = layers.iter().map(|layer| layer.vm_state_size).max();
        let cell = |bytes: u64| bytes.div_ceil(COLUMNS).max(1).next_multiple_of(unit);
        Self {
            disk_end: end,
            cell_bytes: cell(end),
            vm_start: None,
            vm_cell_bytes: cell(vm_bytes.unwrap_or(0).max(unit * COLUMNS / 4)),
            rows: layers
                .iter()
                .take(ROWS_MAX)
                .map(|layer| Row {
                    name: layer.name.clone(),
                    disk: Vec::new(),
                    vm_state: Vec::new(),
                })
                .collect(),
            hidden_rows: layers.len().saturating_sub(ROWS_MAX),
        }
    }

    /// Takes a cluster in. `same_iv`: its places share key and IV.
    pub fn add(&mut self, cluster: &Cluster<'_>, same_iv: bool) {
        let guest = cluster.guest.bytes();
        let normal = cluster.stored.iter().filter(|one| one.is_normal()).count();
        let shared = same_iv && normal > 1;
        for (index, stored) in cluster.stored.iter().enumerate() {
            let other = (shared && stored.is_normal())
                .then(|| {
                    let mut others = cluster.stored.iter().enumerate();
                    others.find(|(at, one)| *at != index && one.is_normal())
                })
                .flatten()
                .and_then(|(_, one)| Some((*one.layers.first()?, one.host.bytes())));
            for &layer in stored.layers {
                let Some(cell) = self.cell(layer, guest) else {
                    continue;
                };
                cell.stored += 1;
                cell.compressed += u64::from(!stored.is_normal());
                if other.is_some() {
                    cell.shared += 1;
                }
                if cell.place.is_none() || (other.is_some() && cell.other.is_none()) {
                    cell.place = Some((guest, stored.host.bytes()));
                    cell.other = other;
                }
            }
        }
    }

    /// Equal ciphertext was seen between places of this cluster.
    pub fn prove(&mut self, cluster: &Cluster<'_>) {
        let guest = cluster.guest.bytes();
        for stored in cluster.stored.iter().filter(|one| one.is_normal()) {
            for &layer in stored.layers {
                if let Some(cell) = self.cell(layer, guest) {
                    cell.proven += 1;
                }
            }
        }
    }

    fn cell(&mut self, layer: usize, guest: u64) -> Option<&mut Cell> {
        let row = self.rows.get_mut(layer)?;
        let (cells, index) = if guest < self.disk_end {
            (&mut row.disk, guest / self.cell_bytes)
        } else {
            let start = *self.vm_start.get_or_insert(guest);
            let index = guest.saturating_sub(start) / self.vm_cell_bytes;
            (&mut row.vm_state, index.min(COLUMNS - 1))
        };
        let index = usize::try_from(index).ok()?;
        if cells.len() <= index {
            cells.resize(index + 1, Cell::default());
        }
        cells.get_mut(index)
    }
}
