// SPDX-License-Identifier: Apache-2.0

package delivery

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/pipeline"
)

// Identity names what is delivered, the same after every crash: equal identities carry equal records in equal order.
// It is one of two: a range of a partition of the log, or a batch of a checkpoint's outbox.
type Identity struct {
	// Incarnation is random, made when the log was: a log that was deleted and made anew has another.
	Incarnation uuid.UUID
	// Epoch of the consumer, raised by every reset of its positions, so that what is reprocessed is not taken for a
	// repetition.
	Epoch uint64
	// Pipeline is the consumer: the pipeline directly behind the log.
	Pipeline pipeline.ID

	// A range: positions First to Last of Partition, both included.
	Partition   uint32
	First, Last uint64

	// An outbox batch: the Ordinal-th that Stage emitted at Checkpoint. Stage is empty for a range.
	Stage      string
	Checkpoint uint64
	Ordinal    uint32
}

// Token is a text of 32 hexadecimal digits that stands for this identity and the names given, such as a table and a
// part: equal ones have equal tokens, and others never meet in practice (128 bits of SHA-256).
func (id Identity) Token(names ...string) string {
	h := sha256.New()
	var b []byte
	text := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = append(b, id.Incarnation[:]...)
	b = binary.BigEndian.AppendUint64(b, id.Epoch)
	text(id.Pipeline.String())
	b = binary.BigEndian.AppendUint32(b, id.Partition)
	b = binary.BigEndian.AppendUint64(b, id.First)
	b = binary.BigEndian.AppendUint64(b, id.Last)
	text(id.Stage)
	b = binary.BigEndian.AppendUint64(b, id.Checkpoint)
	b = binary.BigEndian.AppendUint32(b, id.Ordinal)
	for _, n := range names {
		text(n)
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// String is for people: logs and errors.
func (id Identity) String() string {
	if id.Stage != "" {
		return fmt.Sprintf("%s checkpoint %d, %s, batch %d", id.Pipeline, id.Checkpoint, id.Stage, id.Ordinal)
	}
	return fmt.Sprintf("%s partition %d, positions %d to %d", id.Pipeline, id.Partition, id.First, id.Last)
}
