package evidence

import (
	"encoding/json"
	"time"
)

// Time is a moment in milliseconds since 1970, UTC. In JSON it is RFC 3339 with exactly three decimals and "Z"; zero is absent.
type Time int64

const timeLayout = "2006-01-02T15:04:05.000Z"

// At converts t, dropping what is finer than a millisecond.
func At(t time.Time) Time { return Time(t.UnixMilli()) }

// ParseTime reads the one accepted spelling, years 1970 to 9999.
func ParseTime(s string) (Time, error) {
	t, err := time.Parse(timeLayout, s)
	if err != nil || t.Format(timeLayout) != s || t.UnixMilli() <= 0 {
		return 0, Refuse(Invalid, "time")
	}
	return At(t), nil
}

func (t Time) Std() time.Time               { return time.UnixMilli(int64(t)).UTC() }
func (t Time) String() string               { return t.Std().Format(timeLayout) }
func (t Time) Add(d time.Duration) Time     { return t + Time(d.Milliseconds()) }
func (t Time) Sub(u Time) time.Duration     { return time.Duration(t-u) * time.Millisecond }
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

func (t *Time) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return Refuse(Invalid, "time")
	}
	parsed, err := ParseTime(s)
	*t = parsed
	return err
}
