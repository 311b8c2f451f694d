//go:build race

package custody

// stride is how many of the changes to the schema's samples share one trial: the race detector makes each 15 times as slow, and there is
// nothing concurrent in them.
const stride = 20
