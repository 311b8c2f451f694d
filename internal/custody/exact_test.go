package custody

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// Every statement of a known kind in the vectors that is accepted without reserve is read the quick way, or is one of those that the
// quick way leaves to the other; both read the same.
func TestExact(t *testing.T) {
	for _, file := range []string{"kinds.json", "statements.json"} {
		for _, v := range readVectors(t, file) {
			payload, _, err := readDSSE([]byte(v.DSSE), PayloadType, ev.MaxStatement)
			if err != nil {
				continue
			}
			quick := sameReading(t, payload)
			if file == "kinds.json" && !quick && v.Name != string(ev.VaultConfigured) { // its witness policy has lines
				t.Errorf("%s is not read the quick way", v.Name)
			}
		}
	}
}

// sameReading reads a payload in both ways and reports whether the quick one could.
func sameReading(t *testing.T, payload []byte) bool {
	t.Helper()
	quick, ok := exactStatement(payload)
	slow, unknown, err := readAny(payload)
	if ok && (err != nil || unknown != nil || !reflect.DeepEqual(quick, slow)) {
		t.Fatalf("%s\nis read as %+v\nand as %+v, %v, %v", payload, quick, slow, unknown, err)
	}
	return ok
}

// Bytes of a statement of every kind are changed, left out and doubled: whatever the quick way still reads, the other reads alike.
func TestExactIsStrict(t *testing.T) {
	const bytes = " \"\\,:[]{}01aF\x00\x7f\xff"
	for _, v := range readVectors(t, "kinds.json") {
		payload, _, err := readDSSE([]byte(v.DSSE), PayloadType, ev.MaxStatement)
		if err != nil {
			t.Fatal(err)
		}
		step := 1 + len(payload)/(100/stride+10)
		for i := rand.IntN(step); i < len(payload); i += step {
			changed := slices.Clone(payload)
			changed[i] = bytes[rand.IntN(len(bytes))]
			sameReading(t, changed)
			sameReading(t, slices.Delete(slices.Clone(payload), i, i+1))
			sameReading(t, slices.Insert(slices.Clone(payload), i, payload[i]))
		}
	}
}

// States of every kind, filled at random, are read as declared if they are plain, and never otherwise than package encoding/json reads
// them, whatever is changed in their text.
func TestDeclared(t *testing.T) {
	const bytes = " \"\\,:[]{}01aFnt\x00\x7f\xff"
	for _, kind := range []ev.StreamType{ev.ActorStream, ev.CaseStream, ev.ConsentStream, ev.ItemStream, ev.PolicyStream, ev.VaultStream} {
		read := func(text []byte) bool {
			t.Helper()
			quick, _ := ev.NewState(kind)
			slow, _ := ev.NewState(kind)
			ok := Declared(text, quick)
			if err := json.Unmarshal(text, slow); ok && (err != nil || !reflect.DeepEqual(quick, slow)) {
				t.Fatalf("%s\nis read as %+v\nand as %+v, %v", text, quick, slow, err)
			}
			return ok
		}
		for range 20 {
			state, _ := ev.NewState(kind)
			fill(reflect.ValueOf(state).Elem(), 0)
			text, err := json.Marshal(state)
			if err != nil {
				t.Fatal(err)
			}
			if !read(text) {
				t.Errorf("is not read the quick way: %s", text)
			}
			for range 100 / stride {
				i := rand.IntN(len(text))
				changed := slices.Clone(text)
				changed[i] = bytes[rand.IntN(len(bytes))]
				read(changed)
				read(slices.Delete(slices.Clone(text), i, i+1))
				read(slices.Insert(slices.Clone(text), i, text[i]))
			}
		}
	}
}

// fill sets every field of a state at random, some to nothing.
func fill(v reflect.Value, depth int) {
	switch v.Type() {
	case hashType:
		v.Set(reflect.ValueOf(digest(string(rune('a' + rand.IntN(26))))))
		return
	case timeType:
		v.SetInt(rand.Int64N(1 << 41))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString([]string{"", "plain", "with a space, and {[:"}[rand.IntN(3)])
	case reflect.Int, reflect.Int64:
		v.SetInt(rand.Int64N(3))
	case reflect.Bool:
		v.SetBool(rand.IntN(2) == 0)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		if depth > 1 && v.Type() == reflect.TypeFor[[]ev.Veil]() {
			return // what is seen through a veil has none
		}
		v.Set(reflect.MakeSlice(v.Type(), rand.IntN(3), 3))
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	}
}

func BenchmarkExact(b *testing.B) {
	for _, v := range readVectors(b, "kinds.json") {
		if v.Name != string(ev.ItemOpened) {
			continue
		}
		payload, _, err := readDSSE([]byte(v.DSSE), PayloadType, ev.MaxStatement)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("quick", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := exactStatement(payload); !ok {
					b.Fatal("not read")
				}
			}
		})
		b.Run("any", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := readAny(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
