//go:build race

package dossier

// race says that the race detector is on, under which a verification takes many times as long.
const race = true
