package piimaskingprocessor
import ("testing";"context";"github.com/millrace/millrace/internal/event";"go.opentelemetry.io/collector/consumer/consumertest";"github.com/millrace/millrace/testbed/personaldata")
func BenchmarkZZ(b *testing.B) {
	p := started(b, hostOf(nil, nil), new(consumertest.LogsSink), nil)
	ld, _ := personaldata.Events(1, 1000, 0)
	w := newWork(p)
	batch := event.FromLogs(ld)
	b.ReportAllocs()
	for b.Loop() { _ = w.batch(context.Background(), batch) }
}
