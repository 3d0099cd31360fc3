/**
 * What the five services know: the stock of a small lamp shop, with one record per service and product.
 */
export interface Product {
  readonly id: string
  readonly title: string
  readonly tagline: string
  readonly description: string
  readonly facts: ReadonlyArray<readonly [string, string]>
}

export interface Price {
  readonly cents: number
  readonly currency: string
}

export interface Stock {
  readonly left: number
  readonly shipsIn: string
}

export interface Review {
  readonly author: string
  readonly stars: number
  readonly text: string
}

export interface Suggestion {
  readonly id: string
  readonly title: string
  readonly line: string
}

interface Entry {
  readonly product: Product
  readonly pricing: Price
  readonly inventory: Stock
  readonly reviews: ReadonlyArray<Review>
  readonly recommendations: ReadonlyArray<Suggestion>
}

export const suggestion: { readonly [id: string]: Suggestion } = {
  beacon: { id: "beacon", title: "Beacon", line: "Desk lamp in brass" },
  keel: { id: "keel", title: "Keel", line: "Pendant over the table" },
  tern: { id: "tern", title: "Tern", line: "Clip light for reading" },
  skerry: { id: "skerry", title: "Skerry", line: "Floor lamp, arched" },
  sound: { id: "sound", title: "Sound", line: "Lantern for the terrace" }
}

const entry = (
  id: string,
  cents: number,
  left: number,
  tagline: string,
  description: string,
  facts: Product["facts"],
  reviews: ReadonlyArray<Review>,
  goesWith: ReadonlyArray<string>
): Entry => ({
  product: { id, title: suggestion[id]!.title, tagline, description, facts },
  pricing: { cents, currency: "EUR" },
  inventory: { left, shipsIn: "1 to 2 working days" },
  reviews,
  recommendations: goesWith.map((other) => suggestion[other]!)
})

export const catalogue: { readonly [id: string]: Entry } = {
  beacon: entry(
    "beacon",
    18_900,
    12,
    "A desk lamp that stays where you put it.",
    "Turned from solid brass and weighted low, Beacon holds any angle without a spring or a screw. The shade " +
      "throws a wide, even light over the page and keeps it out of your eyes. It is made to be repaired: every part comes off with one key.",
    [
      ["Material", "Brass, oiled oak, linen cord"],
      ["Light", "2700 K, 600 lumen, dims to 5 %"],
      ["Size", "46 cm high, shade 19 cm"],
      ["Guarantee", "10 years, parts for 25"]
    ],
    [
      {
        author: "Maren",
        stars: 5,
        text: "Warm light and no wobble. I moved it twice in a year, and only because I moved."
      },
      // What people write is data, also when it looks like something else.
      { author: "Ole & Ida", stars: 4, text: "Heavy, in a good way. Dims down to <almost nothing>." },
      { author: "Yusuf", stars: 5, text: "The switch is a pleasure. Came well packed, without any plastic." }
    ],
    ["tern", "keel", "skerry", "sound"]
  ),
  keel: entry(
    "keel",
    24_900,
    4,
    "Hangs low, shines far.",
    "A pendant of spun steel for long tables.",
    [
      ["Material", "Spun steel, powder coated"],
      ["Size", "38 cm across"]
    ],
    [{ author: "Tove", stars: 5, text: "Dinner is longer now." }],
    ["beacon", "skerry"]
  ),
  tern: entry(
    "tern",
    5_900,
    31,
    "Reads with you.",
    "A clip light that holds on to shelves, beds and books.",
    [
      ["Material", "Aluminium, beech"],
      ["Battery", "30 hours"]
    ],
    [{ author: "Jonas", stars: 4, text: "Small and bright." }],
    ["beacon", "sound"]
  ),
  skerry: entry(
    "skerry",
    32_900,
    2,
    "An arch of light.",
    "A floor lamp that reaches over the sofa.",
    [
      ["Material", "Brass, slate base"],
      ["Size", "190 cm high"]
    ],
    [{ author: "Lea", stars: 5, text: "It looks like it grew there." }],
    ["keel", "beacon"]
  ),
  sound: entry(
    "sound",
    7_900,
    18,
    "For late evenings outside.",
    "A lantern that does not mind the rain.",
    [
      ["Material", "Galvanised steel, glass"],
      ["Protection", "IP65"]
    ],
    [{ author: "Piet", stars: 4, text: "Two winters on the terrace so far." }],
    ["tern", "keel"]
  )
}

/** What most people look at: known to the page itself, so that it can be shown when nobody answers. */
export const popular: ReadonlyArray<Suggestion> = [suggestion.sound!, suggestion.skerry!, suggestion.keel!]
