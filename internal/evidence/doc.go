// Package evidence is the vocabulary and the law of Strongroom: identifiers, codes, the custody event with its details, and
// the pure state machine that says whether an event may happen.
//
// It takes what is known (Facts), an event and nothing else, and returns the new state of one stream or an *Error. It has no
// clock, no I/O and no randomness beyond making identifiers: the server that accepts an event and the court's verifier that
// replays it run the same functions, so they cannot disagree (ARCHITECTURE §1, idea 3).
//
// Check judges an event alone, Apply judges it against Facts: first what holds for every event (apply.go), then the rule of its kind,
// one file per stream (actor.go, case.go, consent.go, item.go, grant.go, policy.go), each of which reads as the manual of its part of
// RULES. StandsOn says on which streams an event stands. Every refusal carries one of the reasons listed in reasons.go.
//
// It never sees plaintext: everything here is what the server may know (RULES §3.1, "plain").
package evidence
