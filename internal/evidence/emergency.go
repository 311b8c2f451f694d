package evidence

import "slices"

// EmergencyState is one opening without the right to open, and what came of its review.
type EmergencyState struct {
	Event        Hash    `json:"event"` // leaf hash of item.break_glass
	By           ActorID `json:"by"`
	Organization OrgID   `json:"organization,omitempty"`
	Opened       Time    `json:"opened"`
	Due          Time    `json:"due"` // the review
	ReviewedBy   ActorID `json:"reviewed_by,omitempty"`
	Justified    bool    `json:"justified,omitempty"`
}

// breaking is what itemBreakGlass and every later release on its strength demand: a keyholder on duty. Nothing else is waived.
func (a *act) breaking(d *ItemBreakGlassDetails) error {
	if err := a.keyholder(OnDuty); err != nil {
		return err
	}
	return a.served(a.signer.Fingerprint(), d.Envelope)
}

func itemBreakGlass(a *act) (State, error) {
	if err := a.breaking(a.Details.(*ItemBreakGlassDetails)); err != nil {
		return nil, err
	}
	if a.Purpose != "" && a.Purpose != ForEmergency {
		return nil, Refuse(Invalid, ReasonPurpose)
	}
	s := *a.item
	s.Last = a.tip
	s.Emergencies = append(slices.Clip(s.Emergencies), EmergencyState{Event: a.tip.Leaf, By: a.Actor.ID, Organization: a.Actor.Organization,
		Opened: a.Time, Due: a.after(a.policy.Policy.ReviewTime)})
	return &s, nil
}

// itemBreakGlassReviewed ②: by a custodian of the case or an auditor, never by who opened.
func itemBreakGlassReviewed(a *act) (State, error) {
	d := a.Details.(*ItemBreakGlassReviewedDetails)
	if a.Actor.Role == Custodian {
		if err := a.member(""); err != nil {
			return nil, err
		}
	}
	i := slices.IndexFunc(a.item.Emergencies, func(m EmergencyState) bool { return m.Event == d.Event })
	if i < 0 {
		return nil, Refuse(NotFound, ReasonEmergency)
	}
	m := a.item.Emergencies[i]
	if m.ReviewedBy != "" {
		return nil, Refuse(Conflict, ReasonApproved)
	}
	if err := a.second(m.By, m.Organization); err != nil {
		return nil, err
	}
	m.ReviewedBy, m.Justified = a.Actor.ID, d.Justified
	s := *a.item
	s.Last, s.Emergencies = a.tip, slices.Clone(s.Emergencies)
	s.Emergencies[i] = m
	return &s, nil
}
