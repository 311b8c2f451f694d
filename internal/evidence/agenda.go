package evidence

// Moments are when the vault itself has something to do for a stream, because time alone changes what holds: a hold ends, the review of
// an emergency opening is overdue, a consent ends. What was done at a moment may be done again.
func Moments(s State) []Time {
	var list []Time
	switch s := s.(type) {
	case *ItemState:
		for _, h := range s.Holds {
			switch h.Status {
			case HoldUnconfirmed:
				list = append(list, min(h.Lapses, h.Expires))
			case HoldInForce:
				list = append(list, h.Expires)
			}
		}
		for _, m := range s.Emergencies {
			if m.ReviewedBy == "" {
				list = append(list, m.Due)
			}
		}
	case *ConsentState:
		if s.Withdrawn == 0 {
			list = append(list, s.Until)
		}
	}
	return list
}
