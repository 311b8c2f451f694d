// Package evidence is the vocabulary and the law of Strongroom: identifiers, codes, the custody event with its details, and
// the pure state machine that says whether an event may happen.
//
// It takes what is known (Facts), an event and nothing else, and returns the new state of one stream or an *Error. It has no
// clock, no I/O and no randomness beyond making identifiers: the server that accepts an event and the court's verifier that
// replays it run the same functions, so they cannot disagree (ARCHITECTURE §1, idea 3).
//
// It never sees plaintext: everything here is what the server may know (RULES §3.1, "plain").
package evidence
