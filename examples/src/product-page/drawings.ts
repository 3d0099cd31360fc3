/**
 * The pictures of the shop, drawn: no file to be loaded, so nothing that could be missing.
 */
import { html, type Markup } from "./markup.js"

const brass = (id: string): Markup =>
  html`<linearGradient id="${id}-metal" x1="0" x2="1" y1="0" y2="1"><stop offset="0" stop-color="#f0cd86"/>
<stop offset=".45" stop-color="#c8963c"/><stop offset="1" stop-color="#7d5514"/></linearGradient>`

const light = (id: string, x: number, y: number, radius: number): Markup =>
  html`<radialGradient id="${id}-light" gradientUnits="userSpaceOnUse" cx="${x}" cy="${y}" r="${radius}">
<stop offset="0" stop-color="#fff0c4" stop-opacity=".95"/><stop offset=".55" stop-color="#ffe3a0" stop-opacity=".42"/>
<stop offset="1" stop-color="#ffe3a0" stop-opacity="0"/></radialGradient>`

const bulb = "#fff6dc"
const steel = "#2d4a54"

/** One drawing per product, in a square of 240. `id` keeps the gradients of two drawings on one page apart. */
const drawings: { readonly [product: string]: (id: string) => Markup } = {
  beacon: (id) =>
    html`<defs>${brass(id)}${light(id, 86, 92, 172)}</defs>
<rect x="-200" y="210" width="640" height="120" fill="#0a1c24" opacity=".38"/>
<path d="M49 67 123 114 168 270-62 270Z" fill="url(#${id}-light)"/><ellipse cx="50" cy="226" rx="84" ry="10" fill="#ffe3a0" opacity=".16"/>
<ellipse cx="172" cy="217" rx="58" ry="5" fill="#061319" opacity=".45"/>
<path d="M170 204 197 122 120 37" fill="none" stroke="url(#${id}-metal)" stroke-width="7" stroke-linecap="round" stroke-linejoin="round"/>
<rect x="126" y="203" width="88" height="13" rx="6.5" fill="url(#${id}-metal)"/><rect x="156" y="196" width="28" height="9" rx="4" fill="#6b4a2b"/>
<circle cx="197" cy="122" r="8.5" fill="#8a5f1c"/><circle cx="197" cy="122" r="3.4" fill="#f0cd86"/>
<g transform="translate(104 62) rotate(32)"><path d="M-45 34C-45-13-22-31 0-31S45-13 45 34Z" fill="url(#${id}-metal)"/>
<path d="M-31 27C-30-6-18-19-5-23" fill="none" stroke="#fbe7b8" stroke-width="4" stroke-linecap="round" opacity=".75"/>
<ellipse cy="34" rx="45" ry="8" fill="#f9e3ad"/><ellipse cy="35" rx="22" ry="5" fill="${bulb}"/><circle cy="-33" r="6" fill="#8a5f1c"/></g>`,
  keel: (id) =>
    html`<defs>${light(id, 120, 146, 110)}</defs><path d="M58 146 182 146 226 240 14 240Z" fill="url(#${id}-light)"/>
<path d="M120 0V78" stroke="${steel}" stroke-width="3"/><path d="M44 146C46 98 82 76 120 76S194 98 196 146Z" fill="${steel}"/>
<path d="M62 134C66 106 86 92 104 88" fill="none" stroke="#7f9ba5" stroke-width="5" stroke-linecap="round" opacity=".8"/>
<ellipse cx="120" cy="146" rx="76" ry="10" fill="#f9e3ad"/><ellipse cx="120" cy="147" rx="34" ry="6" fill="${bulb}"/>
<rect x="110" y="66" width="20" height="13" rx="4" fill="#c8963c"/>`,
  tern: (id) =>
    html`<defs>${light(id, 84, 92, 120)}</defs><path d="M42 82 106 112 118 240 0 240 0 190Z" fill="url(#${id}-light)"/>
<path d="M166 196C166 120 196 84 152 62 132 52 112 56 100 66" fill="none" stroke="#6f8791" stroke-width="6" stroke-linecap="round"/>
<g transform="translate(86 78) rotate(26)"><path d="M-34 26-15-22H15L34 26Z" fill="#d9653b"/><path d="M-21 19-10-14" stroke="#f4a88b" stroke-width="4" stroke-linecap="round"/>
<ellipse cy="26" rx="34" ry="7" fill="#f9e3ad"/></g>
<path d="M140 194H206V208H140Z" fill="#c9a36a"/><path d="M150 208H196L190 222H158Z" fill="#a97f45"/><rect x="116" y="222" width="124" height="9" fill="#8d6a45"/>`,
  skerry: (id) =>
    html`<defs>${brass(id)}${
      light(id, 176, 108, 120)
    }</defs><path d="M138 104 214 104 240 180 240 226 96 226Z" fill="url(#${id}-light)"/>
<path d="M62 212V112C62 34 152 6 176 62" fill="none" stroke="url(#${id}-metal)" stroke-width="6" stroke-linecap="round"/>
<path d="M134 104C136 76 156 62 176 62S216 76 218 104Z" fill="url(#${id}-metal)"/><ellipse cx="176" cy="104" rx="42" ry="7" fill="#f9e3ad"/>
<path d="M28 212H96L102 226H22Z" fill="${steel}"/>`,
  sound: (id) =>
    html`<defs>${light(id, 120, 150, 100)}</defs><circle cx="120" cy="150" r="100" fill="url(#${id}-light)"/>
<path d="M82 74C82 18 158 18 158 74" fill="none" stroke="${steel}" stroke-width="5"/><path d="M76 92 96 66H144L164 92Z" fill="${steel}"/>
<rect x="82" y="92" width="76" height="106" fill="#fff3d2" opacity=".85"/><path d="M120 124C134 142 136 152 134 160A14 14 0 0 1 106 160C105 150 112 144 120 124Z" fill="#f2b84b"/>
<path d="M120 146C126 154 127 158 126 163A6.5 6.5 0 0 1 114 163C114 157 117 154 120 146Z" fill="#fffaf0"/>
<path d="M82 92V198M120 92V116M158 92V198" stroke="${steel}" stroke-width="5"/><rect x="70" y="198" width="100" height="16" rx="4" fill="${steel}"/>`
}

/** A picture with its description, or with none where the text beside it says the same. */
export const drawing = (product: string, id: string, description?: string): Markup => {
  const label = description === undefined ? html`aria-hidden="true"` : html`role="img" aria-label="${description}"`
  return html`<svg viewBox="0 0 240 240" ${label}>${drawings[product]?.(id)}</svg>`
}

export const mark =
  html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><path d="M16 2 22 12H10Z" fill="#c8963c"/>
<path d="M9 14H23L26 30H6Z" fill="#14303a"/><path d="M11 20Q16 24 21 20M10 25Q16 29 22 25" stroke="#faf7f1" stroke-width="1.8" fill="none"/></svg>`

export const calmSign =
  html`<svg class="sign" viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="8.2" fill="none" stroke="currentColor" stroke-width="1.6"/>
<path d="M10 9V14" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/><circle cx="10" cy="6" r="1.1" fill="currentColor"/></svg>`

export const alarmSign =
  html`<svg class="alarm-sign" viewBox="0 0 48 48" aria-hidden="true"><path d="M24 5 45 42H3Z" fill="none" stroke="currentColor" stroke-width="3.4" stroke-linejoin="round"/>
<path d="M24 18V29" stroke="currentColor" stroke-width="3.6" stroke-linecap="round"/><circle cx="24" cy="35.5" r="2.2" fill="currentColor"/></svg>`
