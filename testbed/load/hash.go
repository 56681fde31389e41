// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/json"
	"fmt"
	"maps"
	"sort"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/millrace/millrace/internal/event"
)

// personal are the properties that a collector masks before it stores them: email to full_name of the event itself, the others of a
// shipping_address. They are no part of the hash; what becomes of them has tests of its own.
var (
	personal          = map[string]bool{"email": true, "phone": true, "full_name": true, "birth_date": true}
	personalInAddress = map[string]bool{"name": true, "phone": true, "postal_code": true, "street": true}
)

const address = "shipping_address"

// withoutPersonal returns an address without what is somebody's.
func withoutPersonal(v value) value {
	var kept []prop
	for _, p := range v.sub.props {
		if !personalInAddress[p.key.name] {
			kept = append(kept, p)
		}
	}
	return objectVal(kept)
}

// hashProps returns the event's HashProperties without building a map. buf is scratch, returned for the next.
func hashProps(props []prop, buf []byte) (uint64, []byte) {
	var sum uint64
	for _, p := range props {
		if personal[p.key.name] {
			continue
		}
		if p.key.name == address {
			if p.val.kind != kindObject {
				continue // spoiled: all of it is an address then
			}
			p.val = withoutPersonal(p.val)
		}
		buf = append(buf[:0], p.key.name...)
		buf = append(buf, 0)
		buf = p.val.appendJSON(buf)
		sum += xxhash.Sum64(buf)
	}
	return sum, buf
}

// HashProperties is the hash that the manifest holds of an event's properties, for those who can read them back
// whole: the sum modulo 2^64, over the top-level properties, of xxHash64(name, 0x00, value), the value as
// JSON with sorted keys, no blanks and numbers in their shortest decimal form; of what is personal (email, phone, full_name, birth_date, and of
// a shipping_address name, phone, postal_code and street) nothing. It takes what encoding/json
// decodes into, json.Number included.
func HashProperties(props map[string]any) (uint64, error) {
	var sum uint64
	var buf []byte
	for k, v := range props {
		if personal[k] {
			continue
		}
		if k == address {
			inner, ok := v.(map[string]any)
			if !ok {
				continue
			}
			inner = maps.Clone(inner)
			maps.DeleteFunc(inner, func(k string, _ any) bool { return personalInAddress[k] })
			v = inner
		}
		buf = append(append(buf[:0], k...), 0)
		var err error
		if buf, err = appendCanonical(buf, v); err != nil {
			return 0, fmt.Errorf("hashing property %q: %w", k, err)
		}
		sum += xxhash.Sum64(buf)
	}
	return sum, nil
}

func appendCanonical(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return event.AppendJSONString(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float64:
		return strconv.AppendFloat(dst, v, 'f', -1, 64), nil
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return strconv.AppendInt(dst, i, 10), nil
		}
		f, err := v.Float64()
		if err != nil {
			return dst, err
		}
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendCanonical(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		dst = append(dst, '{')
		for i, k := range keys {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(event.AppendJSONString(dst, k), ':')
			var err error
			if dst, err = appendCanonical(dst, v[k]); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	default:
		return dst, fmt.Errorf("unknown type %T", v)
	}
}
