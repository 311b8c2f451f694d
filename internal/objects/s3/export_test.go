package s3

import "time"

// Hasten makes a writer that does not answer be taken for dead sooner.
func (s *Store) Hasten(d time.Duration) { s.takeover = d }
