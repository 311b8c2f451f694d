// Package browser is what programs built for a browser's Worker share: waiting for a promise, what the browser throws as an error of Go, and
// a file of the person's, read piece by piece where it lies.
//
// It assumes that the caller is not a callback of the browser's: whoever waits in one waits for ever. It never copies a file as a whole, and
// never repeats in an error what the browser was given.
package browser
