"use strict";
const SVG = "http://www.w3.org/2000/svg";
const hex = (number) => "0x" + number.toString(16);
const size = (bytes) => {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < 5) { bytes /= 1024; unit += 1; }
  return (Number.isInteger(bytes) ? bytes : bytes.toFixed(1)) + " " + units[unit];
};
// Names come from images and file systems: they only ever become text.
const add = (parent, tag, text, name) => {
  const child = document.createElement(tag);
  if (text !== undefined) child.textContent = text;
  if (name) child.className = name;
  parent.append(child);
  return child;
};
const draw = (parent, tag, attributes, text) => {
  const child = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) child.setAttribute(name, value);
  if (text !== undefined) child.textContent = text;
  parent.append(child);
  return child;
};
const kind = (cell) => cell.proven ? "proven" : cell.shared ? "shared" : cell.compressed ? "compressed" : "stored";
const describe = (heat, row, cell, start, bytes) => {
  const parts = [row.name, `guest ${hex(start)} to ${hex(start + bytes)}`, `${cell.stored} clusters stored`];
  if (cell.compressed) parts.push(`${cell.compressed} compressed, in clear`);
  if (cell.shared) parts.push(`${cell.shared} with a key and IV used twice`);
  if (cell.proven) parts.push(`${cell.proven} with equal ciphertext`);
  if (cell.place) {
    let place = `e.g. guest ${hex(cell.place[0])} at host ${hex(cell.place[1])}`;
    if (cell.other) {
      const other = heat.rows[cell.other[0]];
      place += ` and, in ${other ? other.name : "another state"}, at host ${hex(cell.other[1])}`;
    }
    parts.push(place);
  }
  return parts.join(" · ");
};
const strip = (svg, heat, row, list, area, hover) => {
  const step = area.width / area.columns;
  draw(svg, "rect", { x: area.x, y: area.y, width: area.width, height: area.height, class: "empty" });
  list.forEach((cell, index) => {
    if (!cell.stored) return;
    const words = describe(heat, row, cell, area.from + index * area.bytes, area.bytes);
    const x = (area.x + index * step).toFixed(2), width = Math.max(step, 1).toFixed(2);
    const rect = draw(svg, "rect", { x, y: area.y, width, height: area.height, class: kind(cell), tabindex: 0 });
    draw(rect, "title", {}, words);
    const show = () => { hover.textContent = words; };
    rect.addEventListener("mouseenter", show);
    rect.addEventListener("focus", show);
  });
};
const picture = (parent, heat) => {
  const vm = heat.rows.some((row) => row["vm_state"].length > 0);
  const left = 170, width = 1000, height = 22, gap = 4, top = 20;
  const diskWidth = vm ? width * 0.78 : width;
  const total = top + heat.rows.length * (height + gap) + 20;
  const svg = draw(parent, "svg", { viewBox: `0 0 ${left + width + 10} ${total}`, role: "img",
    "aria-label": "the guest's disk, a row for each state" });
  const hover = add(parent, "div", "Point at a piece of the disk for its offsets.", "hover");
  const columns = Math.max(1, Math.ceil(heat["disk_end"] / heat["cell_bytes"]));
  const vmColumns = Math.max(1, ...heat.rows.map((row) => row["vm_state"].length));
  const vmLeft = left + diskWidth + 12, vmWidth = width - diskWidth - 12;
  draw(svg, "text", { x: left, y: 14, class: "axis" }, "guest disk: 0");
  draw(svg, "text", { x: left + diskWidth, y: 14, class: "axis", "text-anchor": "end" }, size(heat["disk_end"]));
  if (vm) draw(svg, "text", { x: vmLeft, y: 14, class: "axis" }, "machine's memory");
  heat.rows.forEach((row, index) => {
    const y = top + index * (height + gap);
    const name = row.name.length > 26 ? row.name.slice(0, 25) + "…" : row.name;
    draw(svg, "text", { x: left - 8, y: y + 15, "text-anchor": "end" }, name);
    strip(svg, heat, row, row.disk,
      { x: left, y, width: diskWidth, height, columns, from: 0, bytes: heat["cell_bytes"] }, hover);
    if (vm) {
      strip(svg, heat, row, row["vm_state"], { x: vmLeft, y, width: vmWidth, height, columns: vmColumns,
        from: heat["vm_start"] || 0, bytes: heat["vm_cell_bytes"] }, hover);
    }
  });
  const note = heat["hidden_rows"] ? ` ${heat["hidden_rows"]} more states are not drawn.` : "";
  draw(svg, "text", { x: left, y: total - 6, class: "axis" }, `one piece is ${size(heat["cell_bytes"])}.${note}`);
  const legend = add(parent, "p", undefined, "legend");
  for (const [name, words] of [["proven", "equal ciphertext seen: the leak is proved"],
    ["shared", "key and IV used at several places"], ["compressed", "compressed: not encrypted"],
    ["stored", "stored, key and IV used once"], ["empty", "nothing stored"]]) {
    const item = add(legend, "span");
    add(item, "i").style.background = `var(--${name})`;
    item.append(words);
  }
};
const finding = (parent, one) => {
  const box = add(parent, "section", undefined, "finding " + one.severity);
  add(box, "span", `${one.severity} · ${one.id}`, "badge");
  add(box, "h3", one.title);
  add(box, "p", one.explanation);
  add(box, "p", "Evidence: " + one.evidence.summary + ".");
  if (one.evidence.examples) {
    add(box, "pre", one.evidence.examples.map((example) => {
      const guest = example["guest-offset"] === undefined ? "" : `guest ${hex(example["guest-offset"])}: `;
      const places = example.places.map((place) => `${hex(place["host-offset"])} (${place.layer})`).join(" and ");
      const equal = example["equal-bytes"] === undefined ? "" : `, ${example["equal-bytes"]} bytes equal`;
      return guest + places + equal;
    }).join("\n"));
  }
  if (one.repair) { add(box, "p", "Repair:"); add(box, "pre", one.repair); }
};
for (const { report, heat } of DATA) {
  const box = add(document.getElementById("images"), "article");
  add(box, "h2", report.image);
  const facts = report.protection;
  const cipher = facts.cipher ? `${facts.encryption}, ${facts.cipher}-${facts.mode}-${facts.ivgen}, IVs from the `
    + `${facts["iv-domain"]} sector` : "not encrypted";
  const line = add(box, "p", undefined, "facts");
  add(line, "b", `${report.format}, ${size(report["virtual-size"])}, ${cipher}. `);
  line.append(`In clear: ${facts["in-clear"]}.`);
  if (heat) picture(box, heat);
  if (!report.findings.length) add(box, "p", "Nothing found.");
  report.findings.forEach((one) => finding(box, one));
}
document.body.dataset.drawn = DATA.length;
