/**
 * Tickets of the circuit breaker machine: one number that says in which generation a call was admitted and as what.
 *
 * The low 32 bits hold the generation and one bit that marks a probe; above them stands the number of the probe in its
 * period, or the place among the calls in flight. A ticket without either stays a small integer, which costs no
 * allocation.
 *
 * @since 0.1.0
 */

const unit = 2 ** 32
const generationBits = 2 ** 31 - 1

/** The ticket of a call of which nothing but its generation is to be known. Positive from generation 1 on. */
export const plain = (generation: number): number => (generation & generationBits) * 2

/** The ticket of a call followed at `place` among the calls in flight; the plain one where that is 0. */
export const follow = (plainTicket: number, place: number): number => place * unit + plainTicket

/** The ticket of the probe with this number, from 1 on. */
export const probe = (plainTicket: number, number: number): number => number * unit + plainTicket + 1

/** Whether the ticket is a probe's. */
export const isProbe = (ticket: number): boolean => (ticket & 1) === 1

/** The number of a probe or the place of a followed call, 0 in a plain ticket. */
export const numberOf = (ticket: number): number => Math.floor(ticket / unit)

/** Whether two tickets were given out in one generation. */
export const sameGeneration = (left: number, right: number): boolean => left >>> 1 === right >>> 1
