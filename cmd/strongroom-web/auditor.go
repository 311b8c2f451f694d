//go:build js && wasm

package main

import (
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// sampled is how many openings and shares a review picks at random.
const sampled = 10

type auditAnswer struct {
	client.Audit
	People []person `json:"people"` // all who were ever enrolled
}

// audit reads every history to its proved end. That nobody is left out is not checked here: this device has followed no record book.
func audit(r request, c *client.Client, _ none) (a auditAnswer, err error) {
	if a.Audit, err = c.Audit(r, sampled, nil); err != nil {
		return a, err
	}
	names, err := organizations(r, c)
	if err != nil {
		return a, err
	}
	a.People = []person{}
	for _, act := range a.Acts {
		if act.Kind == evidence.ActorEnrolled {
			a.People = append(a.People, person{act.Of, evidence.Role(act.Detail), act.For, names[act.For], act.Of == c.Actor()})
		}
	}
	return a, nil
}
