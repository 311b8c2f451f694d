package forms

import "slices"

// recordRules is what RULES §5 asks across fields; factsRules is the part without opinions.
func recordRules(d map[string]any, c *check) {
	factsRules(d, c)
	for i, f := range listAt(d, "examination.findings") {
		if len(listAt(f, "marks")) > 0 && textAt(f, "consistency") == "" {
			c.add(Ask, join(entry("examination.findings", i), "consistency"), ReasonConsistency, "The finding has marks but no degree of consistency. Give one if you have an opinion.")
		}
	}
}

func factsRules(d map[string]any, c *check) {
	if _, ok := d["consultations"]; !ok {
		c.add(Ask, "consultations", ReasonConsultation, `The Istanbul Protocol has a heading for consultations. Fill it in, or say why not: {"not_done": "reason"}.`)
	}
	numbers := c.distinct(d, "marks", "number")
	photos := c.distinct(d, "photographs", "id")
	c.distinct(d, "examination.findings", "id")
	for i, f := range listAt(d, "examination.findings") {
		c.refer(join(entry("examination.findings", i), "marks"), listAt(f, "marks"), numbers, "The finding names a mark that is not in marks. Add the mark, or take its number out.")
	}
	for i, p := range listAt(d, "photographs") {
		at := entry("photographs", i)
		if lookup(p, "consented") == false {
			c.add(Wrong, join(at, "consented"), ReasonConsent, "The person did not agree to this photograph. Take it out of the record; describe the finding in words.")
		}
		if textAt(p, "kind") == "close_up" && lookup(p, "scale") == false && textAt(p, "exception") == "" {
			c.add(Unfinished, join(at, "exception"), ReasonException, "A close-up has a scale in the picture. Take it again, or say under exception why there is none.")
		}
	}
	for i, m := range listAt(d, "marks") {
		at := entry("marks", i)
		if textAt(m, "map") == "genital" && !yesAt(m, "consented") {
			c.add(Wrong, join(at, "consented"), ReasonConsent, "A mark on the genital map needs a yes of its own. Ask for it, or take the mark out and describe in words what may be said.")
		}
		if side := textAt(m, "side"); side == "left" && textAt(m, "map") == "right" || side == "right" && textAt(m, "map") == "left" {
			c.add(Ask, join(at, "side"), ReasonSide, "Map and side differ. Both mean the body's own left and right: which one is it?")
		}
		c.refer(join(at, "photos"), listAt(m, "photos"), photos, "The mark names a photograph that is not in photographs. Add the photograph, or take its name out.")
		c.sequence(join(at, "photos"), listAt(m, "photos"), photos)
	}
	if signed, examined := textAt(d, "signature.date"), textAt(d, "case_information.date"); signed != "" && signed < examined {
		c.add(Unfinished, "signature.date", ReasonOrder, "The record is signed before the examination began. Correct one of the two dates.")
	}
}

// sequence: the photographs of a mark begin with one that shows where on the body it is; one shows it close up.
func (c *check) sequence(at string, photos []any, known map[any]any) {
	if len(photos) == 0 {
		return
	}
	first := known[photos[0]]
	if first != nil && textAt(first, "kind") != "orientation" && textAt(first, "exception") == "" {
		c.add(Unfinished, entry(at, 0), ReasonOrder, "The first photograph of a mark shows where on the body it is (orientation). Put it first, or say under exception of this photograph why there is none.")
	}
	if !slices.ContainsFunc(photos, func(id any) bool { return known[id] == nil || textAt(known[id], "kind") == "close_up" }) {
		c.add(Ask, at, ReasonOrder, "No photograph shows the mark close up. Take one with a scale, if the person agrees and it is still possible.")
	}
}

// distinct returns the entries of a list by the field that names them, and reports names that stand twice.
func (c *check) distinct(d any, path, name string) map[any]any {
	byName := map[any]any{}
	for i, e := range listAt(d, path) {
		key := lookup(e, name)
		if key == nil {
			continue // reported before
		}
		if _, twice := byName[key]; twice {
			c.add(Unfinished, join(entry(path, i), name), ReasonTwice, "This name or number is taken by an earlier entry. Give it another one.")
			continue
		}
		byName[key] = e
	}
	return byName
}

// refer reports entries of a list that are no names of known, or stand twice.
func (c *check) refer(path string, names []any, known map[any]any, text string) {
	for i, name := range names {
		if name == nil {
			continue // reported before
		}
		if _, ok := known[name]; !ok {
			c.add(Unfinished, entry(path, i), ReasonReference, text)
		}
		if slices.Contains(names[:i], name) {
			c.add(Unfinished, entry(path, i), ReasonTwice, "This name or number stands twice in the list. Keep one.")
		}
	}
}
