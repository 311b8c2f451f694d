package ledger

// Trails is how many requests are remembered whose events are on their way.
func (l *Ledger) Trails() (n int) {
	l.trails.byLeaf.Range(func(any, any) bool { n++; return true })
	return n
}
