package ceremony

import (
	"errors"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"

	"strongroom.example/strongroom/internal/sealing"
)

// mostTries bounds how many combinations of shares are tried: a few seconds.
const mostTries = 5000

// part is a share as a point of the polynomial.
type part struct {
	Share
	point secretsharing.Share
}

// search tries needed parts of all, one combination after the other, until one gives the key, and names those of the others that are not of
// the same polynomial. tries counts down to 0. found is false if none gives it.
func search(all []part, needed int, recipient string, tries *int) (_ sealing.Identity, found bool, err error) {
	chosen := make([]int, needed)
	for i := range chosen {
		chosen[i] = i
	}
	for ; *tries > 0; *tries-- {
		seed, err := recovered(all, chosen)
		if err != nil {
			return sealing.Identity{}, false, err
		}
		if identity, err := identityOf(seed); err == nil && identity.Recipient() == recipient {
			if err := strangers(all, chosen, seed); err != nil {
				return sealing.Identity{}, true, err
			}
			return identity, true, nil
		}
		if !next(chosen, len(all)) {
			break
		}
	}
	return sealing.Identity{}, false, nil
}

// strangers names the parts that do not give the seed together with those that do.
func strangers(all []part, right []int, seed group.Scalar) error {
	var wrong []error
	for i := range all {
		other, err := recovered(all, append([]int{i}, without(right, i)...)[:len(right)])
		if err != nil {
			return err
		}
		if all[i].Needed != len(right) || !other.IsEqual(seed) {
			wrong = append(wrong, WrongShare{all[i].Number})
		}
	}
	return errors.Join(wrong...)
}

func without(list []int, i int) (others []int) {
	for _, n := range list {
		if n != i {
			others = append(others, n)
		}
	}
	return others
}

func recovered(all []part, chosen []int) (group.Scalar, error) {
	points := make([]secretsharing.Share, len(chosen))
	for i, n := range chosen {
		points[i] = all[n].point
	}
	return secretsharing.Recover(uint(len(chosen)-1), points) //#nosec G115 -- at least 2 and at most MostTrustees
}

// next is the combination after chosen of numbers below n, in order; false after the last one.
func next(chosen []int, n int) bool {
	for i := len(chosen) - 1; i >= 0; i-- {
		if chosen[i] < n-len(chosen)+i {
			chosen[i]++
			for j := i + 1; j < len(chosen); j++ {
				chosen[j] = chosen[j-1] + 1
			}
			return true
		}
	}
	return false
}
