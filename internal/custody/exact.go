package custody

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
)

// Nearly everything that is read is exactly what this version would write. Exact reads that in one pass, by the types alone, and turns
// away everything else, however slightly it differs: the general way then says what is wrong with it, or that it is of a newer version.
// A fuzz test holds the two against each other.

// Exact reads b into *v, a struct of plain fields, digests, times, lists and further structs, and reports whether b is the canonical JSON
// of what it read. If not, *v holds anything at all. It does not know every spelling that is canonical: text with escapes or beyond
// ASCII, and negative numbers, are turned away.
func Exact[T any](b []byte, v *T) bool {
	c := cursor{rest: b}
	return c.value(byName.of(reflect.TypeFor[T]()), reflect.ValueOf(v).Elem()) && len(c.rest) == 0
}

// Declared is Exact for members in the order in which the type of *v declares them, as package encoding/json writes them.
func Declared(b []byte, v any) bool {
	c, to := cursor{rest: b}, reflect.ValueOf(v).Elem()
	return c.value(asDeclared.of(to.Type()), to) && len(c.rest) == 0
}

// exactStatement is readStatement for what Exact can read: an event of a known kind.
func exactStatement(payload []byte) (*evidence.Event, bool) {
	// The kind stands behind the details that it gives their type. Whatever is found here, it must be the event's.
	_, after, _ := bytes.Cut(payload, []byte(`,"kind":"`))
	kind, _, _ := bytes.Cut(after, []byte(`"`))
	details, err := evidence.NewDetails(evidence.Kind(kind))
	if err != nil {
		return nil, false
	}
	e := new(evidence.Event)
	c := cursor{rest: payload, details: details}
	ok := c.literal(`{"_type":"`+statementType+`","predicate":`) && c.value(byName.of(reflect.TypeFor[evidence.Event]()), reflect.ValueOf(e).Elem()) &&
		c.literal(`,"predicateType":"`+PredicateType+`","subject":`) && c.value(byName.of(reflect.TypeFor[[]evidence.Subject]()), reflect.ValueOf(&e.Subject).Elem()) &&
		c.literal(`}`) && len(c.rest) == 0
	return e, ok && e.Kind == evidence.Kind(kind)
}

// shape is how values of a type are written.
type shape struct {
	typ     reflect.Type
	kind    reflect.Kind
	members []member // of a struct, in the order in which they are written
	element *shape   // of a list or pointer
}

type member struct {
	key      string // with quotes and colon
	index    []int
	optional bool // absent where the value is zero or empty
	*shape
}

// shapes are those of all types read so far, in one order of members.
type shapes struct {
	known  sync.Map // by reflect.Type
	sorted bool     // by name
}

var byName, asDeclared = &shapes{sorted: true}, &shapes{}

func (l *shapes) of(t reflect.Type) *shape {
	if s, ok := l.known.Load(t); ok {
		return s.(*shape)
	}
	read := make(map[reflect.Type]*shape)
	l.read(t, read)
	for t, s := range read { // only now are they whole: a type may be a part of itself
		l.known.Store(t, s)
	}
	return read[t]
}

func (l *shapes) read(t reflect.Type, read map[reflect.Type]*shape) *shape {
	if s := read[t]; s != nil {
		return s
	}
	s := &shape{typ: t, kind: t.Kind()}
	read[t] = s
	switch {
	case t == hashType, t == timeType:
	case s.kind == reflect.Struct:
		s.members = l.members(t, nil, read)
		if l.sorted {
			slices.SortFunc(s.members, func(a, b member) int { return cmp.Compare(a.key, b.key) })
		}
	case s.kind == reflect.Slice, s.kind == reflect.Pointer:
		s.element = l.read(t.Elem(), read)
	}
	return s
}

func (l *shapes) members(t reflect.Type, within []int, read map[reflect.Type]*shape) (list []member) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(within), i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			list = append(list, l.members(f.Type, index, read)...)
		case name != "-":
			list = append(list, member{`"` + name + `":`, index, options != "", l.read(f.Type, read)})
		}
	}
	return list
}

var (
	hashType    = reflect.TypeFor[evidence.Hash]()
	timeType    = reflect.TypeFor[evidence.Time]()
	detailsType = reflect.TypeFor[evidence.Details]()
)

// cursor is what remains to be read. Each method takes one thing off it, or reports that something else stands there.
type cursor struct {
	rest    []byte
	details evidence.Details // to be filled where an event has its details
}

func (c *cursor) literal(s string) bool {
	if len(c.rest) < len(s) || string(c.rest[:len(s)]) != s {
		return false
	}
	c.rest = c.rest[len(s):]
	return true
}

func (c *cursor) value(s *shape, v reflect.Value) bool {
	switch s.typ {
	case hashType:
		return c.hash(v.Addr().Interface().(*evidence.Hash))
	case timeType:
		text, ok := c.text()
		t, err := evidence.ParseTime(string(text))
		v.SetInt(int64(t))
		return ok && err == nil
	case detailsType:
		if c.details == nil {
			return false
		}
		d := reflect.ValueOf(c.details)
		v.Set(d)
		return c.value(byName.of(d.Type().Elem()), d.Elem())
	}
	switch s.kind {
	case reflect.String:
		text, ok := c.text()
		v.SetString(string(text))
		return ok
	case reflect.Int, reflect.Int64:
		n, ok := c.integer()
		v.SetInt(n)
		return ok
	case reflect.Bool:
		yes := c.literal("true")
		v.SetBool(yes)
		return yes || c.literal("false")
	case reflect.Pointer:
		v.Set(reflect.New(s.element.typ))
		return c.value(s.element, v.Elem())
	case reflect.Slice:
		return c.list(s.element, v)
	case reflect.Struct:
		return c.object(s, v)
	}
	return false
}

func (c *cursor) object(s *shape, v reflect.Value) bool {
	separator := "{"
	for _, m := range s.members {
		here := c.rest
		if !c.literal(separator) || !c.literal(m.key) {
			if c.rest = here; !m.optional {
				return false
			}
			continue
		}
		separator = ","
		field := v.FieldByIndex(m.index)
		if !c.value(m.shape, field) || m.optional && (field.IsZero() || m.kind == reflect.Slice && field.Len() == 0) {
			return false
		}
	}
	return (separator == "," || c.literal("{")) && c.literal("}")
}

func (c *cursor) list(element *shape, v reflect.Value) bool {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	if !c.literal("[") {
		return false
	}
	if c.literal("]") {
		return true
	}
	for n := 0; ; n++ {
		v.Grow(1)
		v.SetLen(n + 1)
		switch {
		case !c.value(element, v.Index(n)):
			return false
		case c.literal("]"):
			return true
		case !c.literal(","):
			return false
		}
	}
}

// text takes a string of printable ASCII that needs no escape.
func (c *cursor) text() ([]byte, bool) {
	if !c.literal(`"`) {
		return nil, false
	}
	for i, b := range c.rest {
		switch {
		case b == '"':
			text := c.rest[:i]
			c.rest = c.rest[i+1:]
			return text, true
		case b < ' ', b > '~', b == '\\':
			return nil, false
		}
	}
	return nil, false
}

// integer takes a whole number from 0 to maxInteger.
func (c *cursor) integer() (n int64, ok bool) {
	i := 0
	for i < len(c.rest) && i <= 16 && '0' <= c.rest[i] && c.rest[i] <= '9' {
		n = n*10 + int64(c.rest[i]-'0')
		i++
	}
	if i == 0 || i > 1 && c.rest[0] == '0' || n > maxInteger {
		return 0, false
	}
	c.rest = c.rest[i:]
	return n, true
}

// hash takes 64 lower-case hexadecimal digits, or the empty string that stands for none.
func (c *cursor) hash(h *evidence.Hash) bool {
	text, ok := c.text()
	if !ok || len(text) == 0 {
		return ok
	}
	if len(text) != hex.EncodedLen(len(h)) || bytes.ContainsAny(text, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(h[:], text)
	return err == nil && !h.IsZero()
}
