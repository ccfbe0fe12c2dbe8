"""The style sheet of reports: light and dark, narrow and wide, screen and paper."""

from typing import Final

STYLE: Final = """
:root { --ink: #1f2a37; --muted: #5b6673; --paper: #ffffff; --line: #dde3e9; --tint: #f4f6f8;
  --accent: #2463a8;
  --warn: #b45309; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaee; --muted: #a3adb8; --paper: #14191f; --line: #313a44; --tint: #1d242c;
    --accent: #7fb2e8; --warn: #f0a04b; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--line); }
a { color: var(--accent); }
.summary { font-size: 1.1rem; margin: 0 0 1.2rem; padding: .8rem 1rem; background: var(--tint);
  border-left: 4px solid var(--accent); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin: 0; padding: 0;
  font-size: .95rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0 1.2rem; font-size: .95rem; }
caption { text-align: left; color: var(--muted); padding-bottom: .35rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0 1.4rem; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; padding: .5rem;
  border-radius: .3rem; }
figcaption { color: var(--muted); font-size: .92rem; margin-top: .4rem; }
pre { overflow-x: auto; background: var(--tint); padding: .8rem 1rem; font-size: .82rem; line-height: 1.5; }
.missing { padding: .5rem .8rem; border-left: 4px solid var(--warn); background: var(--tint); }
@media print {
  :root { --ink: #000000; --muted: #444444; --paper: #ffffff; --line: #bbbbbb; --tint: #ffffff;
  --accent: #000000; }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  figure, table, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
}
"""
