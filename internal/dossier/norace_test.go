//go:build !race

package dossier

const race = false
