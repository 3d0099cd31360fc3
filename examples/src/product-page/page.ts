/**
 * What the reader sees: the page of a product as far as its parts are there, or one that says plainly why there is none.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Price, Review, Suggestion } from "./catalogue.js"
import { alarmSign, calmSign, drawing, mark } from "./drawings.js"
import { type Content, html, Markup } from "./markup.js"
import type { Parts } from "./shop.js"
import { style } from "./style.js"

/** What the reader has put into the basket; it comes from the browser, so no service is asked for it. */
export type Basket = number

const document = (title: string, basket: Basket, content: Content): string =>
  html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title} · Fathom</title><style>${new Markup(style)}</style></head>
<body><a class="skip" href="#content">Skip to the content</a>
<header class="top"><div class="wrap"><a class="brand" href="/products/beacon">${mark}Fathom</a><span class="motto">Lamps that can be repaired</span>
<span class="basket">Basket: ${basket === 0 ? "empty" : basket}</span></div></header>
${content}
<footer><div class="wrap">Fathom, Harbour Street 7. Free returns within 30 days.</div></footer></body></html>`.text

const notice = (text: string): Markup => html`<p class="notice">${calmSign}<span>${text}</span></p>`

const stars = (count: number): Markup =>
  html`<span class="stars" role="img" aria-label="${count} of 5 stars">${"★".repeat(count)}${
    "☆".repeat(5 - count)
  }</span>`

const money = ({ cents, currency }: Price): string =>
  new Intl.NumberFormat("en-IE", { style: "currency", currency }).format(cents / 100)

const ago = (age: Duration.Duration): string => {
  const seconds = Math.round(Duration.toSeconds(age))
  if (seconds < 60) {
    return "less than a minute ago"
  }
  const minutes = Math.round(seconds / 60)
  return minutes === 1 ? "a minute ago" : `${minutes} minutes ago`
}

const priced = ({ age, degraded, notice: check, value }: Parts["price"]): Content => [
  html`<p class="price"><span>${money(value)}</span> <small>with VAT and delivery</small></p>`,
  degraded ? notice(`Price from ${age === undefined ? "earlier" : ago(age)}. ${check ?? ""}`) : undefined
]

const stocked = (stock: Parts["stock"]): Markup =>
  Option.match(stock.value, {
    onSome: ({ left, shipsIn }) => html`<p class="stock">${left} in stock <span>Ships in ${shipsIn}</span></p>`,
    onNone: () => notice(stock.notice ?? "")
  })

const rating = (reviews: ReadonlyArray<Review>): Markup => {
  const average = reviews.reduce((sum, { stars }) => sum + stars, 0) / Math.max(1, reviews.length)
  return html`<p class="rating">${stars(Math.round(average))}<a href="#reviews">${reviews.length} ${
    reviews.length === 1 ? "review" : "reviews"
  }</a></p>`
}

const reviewed = (reviews: Parts["reviews"]): Markup =>
  html`<section id="reviews" aria-labelledby="reviews-title"><div class="wrap"><h2 id="reviews-title">What people say</h2>${
    Option.match(reviews, {
      onNone: () => notice("Reviews are taking a short break. They will be back."),
      onSome: (all) =>
        html`<ul class="cards">${
          all.map(({ author, stars: given, text }) =>
            html`<li class="card">${stars(given)}<blockquote>${text}</blockquote><p class="by">${author}</p></li>`
          )
        }</ul>`
    })
  }</div></section>`

const suggested = (found: Parts["recommendations"]): Markup | undefined =>
  Option.match(found, {
    onNone: () => undefined,
    onSome: ({ degraded, notice: limited, value }) =>
      html`<section class="suggestions" aria-labelledby="suggestions-title"><div class="wrap"><h2 id="suggestions-title">${
        degraded ? "What most people look at" : "Goes well with it"
      }</h2>${degraded ? html`<p class="aside">${limited}</p>` : undefined}
<ul class="cards">${value.map(pick)}</ul></div></section>`
  })

const pick = ({ id, line, title }: Suggestion): Markup =>
  html`<li><a class="card pick" href="/products/${id}">${
    drawing(id, `pick-${id}`)
  }<div><strong>${title}</strong>${line}</div></a></li>`

/** Is anything that the reader could miss not there? */
const isLimited = (parts: Parts): boolean =>
  parts.stock.degraded || parts.price.degraded || Option.isNone(parts.reviews)

export const productPage = (parts: Parts, basket: Basket): string => {
  const { description, facts, id, tagline, title } = parts.product.value
  return document(
    title,
    basket,
    html`${
      isLimited(parts)
        ? html`<div class="banner" role="status"><div class="wrap">${calmSign}<span>Some parts of this page are resting. Everything you need to order is here.</span></div></div>`
        : undefined
    }
<main id="content"><div class="wrap"><div class="hero"><figure class="stage">${
      drawing(id, "stage", `${title}, drawn with its light on`)
    }</figure>
<div><p class="kind">Lamps</p><h1>${title}</h1><p class="tagline">${tagline}</p>${
      Option.match(parts.reviews, { onNone: () => undefined, onSome: rating })
    }
<div class="offer">${priced(parts.price)}${stocked(parts.stock)}
<form method="post" action="/basket"><input type="hidden" name="product" value="${id}"><button class="button">Add to basket</button></form>
<ul class="promises"><li>Free delivery</li><li>30 days to change your mind</li></ul></div></div></div></div>
<section class="about" aria-labelledby="about-title"><div class="wrap"><h2 id="about-title">About ${title}</h2><p>${description}</p>
<dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl></div></section>
${reviewed(parts.reviews)}${suggested(parts.recommendations)}</main>`
  )
}

/** Says loudly that there is no page, why, what has not happened, and what to do. */
export const troublePage = (
  trouble: { readonly title: string; readonly because: string; readonly again?: string },
  basket: Basket
): string =>
  document(
    trouble.title,
    basket,
    html`<main id="content"><div class="wrap failed"><div class="trouble" role="alert">${alarmSign}<h1>${trouble.title}</h1>
<p>${trouble.because}</p>${
      trouble.again === undefined
        ? html`<div class="actions"><a class="button" href="/products/beacon">See our desk lamp</a></div>`
        : html`<p>You have not ordered or paid anything, and your basket is as you left it.</p>
<div class="actions"><a class="button" href="${trouble.again}">Try again</a><span>Usually this is over within a minute.</span></div>`
    }</div></div></main>`
  )
