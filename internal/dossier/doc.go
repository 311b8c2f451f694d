// Package dossier is what a court holds in its hands: it replays the law over whole streams of custody events, writes the court package,
// reads it back strictly, verifies it and says in plain words what it shows and what it does not (FORMATS §11, §12).
//
// It assumes nothing of the bytes it is given, and trusts one thing alone: the trust file that its caller pinned. Trust data inside a
// package is for other tools and never looked at. Memory does not grow with the size of evidence, and stays small at a million events.
//
// It never reaches a network, a clock or a store, never decrypts what failed a check, and never calls verified what it could not check.
package dossier
