package httpserver

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-logr/logr"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// StartTracing sends traces to an OTLP endpoint, the base URL of
// OTEL_EXPORTER_OTLP_ENDPOINT; the other variables of OpenTelemetry apply as usual. stop
// sends the remaining traces. Before StartTracing spans are not recorded.
func StartTracing(
	ctx context.Context, endpoint, version string, logger *slog.Logger,
) (stop func(context.Context) error, err error) {
	// Otherwise OpenTelemetry writes lines of its own, which are no JSON, to the log.
	otel.SetLogger(logr.FromSlogHandler(logger.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Warn("tracing", "error", err) }))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(strings.TrimSuffix(endpoint, "/")+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come later and take precedence.
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "roster"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider.Shutdown, nil
}

// traceRequest records a span for a request, a child of the span that the request
// names, if any.
func traceRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		request := c.Request()
		ctx := otel.GetTextMapPropagator().Extract(request.Context(), propagation.HeaderCarrier(request.Header))
		ctx, span := otel.Tracer("github.com/rosterhq/roster").Start(ctx, request.Method+" "+c.Path(),
			trace.WithSpanKind(trace.SpanKindServer))
		defer func() { // also after the panic that cuts an answer
			defer span.End()
			if !span.IsRecording() {
				return
			}
			span.SetAttributes(
				attribute.String("http.request.method", request.Method),
				attribute.String("http.route", c.Path()),
				attribute.Int("http.response.status_code", c.Response().Status),
				attribute.String("roster.request_id", requestID(c)))
			if c.Response().Status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
		}()
		c.SetRequest(request.WithContext(ctx))
		return next(c)
	}
}
