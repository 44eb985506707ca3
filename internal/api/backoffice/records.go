package backoffice

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
)

// recordBody is a record in an answer.
type recordBody struct {
	Type       identity.RecordType `json:"type"`
	ID         identity.RecordID   `json:"id"`
	Attributes identity.Attributes `json:"attributes"`
	CreateTime wireTime            `json:"createTime"`
	UpdateTime wireTime            `json:"updateTime"`
}

func recordFrom(r identity.Record) recordBody {
	return recordBody{
		Type: r.Type, ID: r.ID, Attributes: r.Attributes,
		CreateTime: onWire(r.CreatedAt), UpdateTime: onWire(r.UpdatedAt),
	}
}

type putRecordRequest struct {
	Attributes *identity.Attributes `json:"attributes" validate:"required"`
}

func (h *handlers) listRecords(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	recordType, page, err := recordQuery(c)
	if err != nil {
		return err
	}
	records, total, err := h.service.RecordPage(c.Request().Context(), actor, id, recordType, page)
	if err != nil {
		return err
	}
	return writePage(h, c, page, records, total, recordFrom)
}

func recordQuery(c echo.Context) (recordType identity.RecordType, page identity.Page, err error) {
	q := api.NewQuery(c)
	page = pageOf(q)
	if q.Has("filter[type]") {
		recordType = oneOf(q, "filter[type]", identity.RecordTypes...)
	}
	return recordType, page, q.Err()
}

func (h *handlers) getRecord(c echo.Context, actor identity.Actor) error {
	id, key, err := recordKey(c, actor)
	if err != nil {
		return err
	}
	record, err := h.service.Record(c.Request().Context(), actor, id, key.Type, key.ID)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, recordFrom(record))
}

func (h *handlers) putRecord(c echo.Context, actor identity.Actor) error {
	id, record, err := recordKey(c, actor)
	if err != nil {
		return err
	}
	request, err := api.Bind[putRecordRequest](c)
	if err != nil {
		return err
	}
	record.Attributes = *request.Attributes
	record, isNew, err := h.service.PutRecord(c.Request().Context(), actor, id, record)
	switch {
	case err != nil:
		return err
	case isNew:
		return created(c, h.recordLink(c, id, record), recordFrom(record))
	}
	return c.JSON(http.StatusOK, recordFrom(record))
}

func (h *handlers) deleteRecord(c echo.Context, actor identity.Actor) error {
	id, key, err := recordKey(c, actor)
	if err != nil {
		return err
	}
	if err := h.service.DeleteRecord(c.Request().Context(), actor, id, key.Type, key.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// recordKey reads the user and the record that a path names.
func recordKey(c echo.Context, actor identity.Actor) (user int64, key identity.Record, err error) {
	if user, err = userID(c, actor); err != nil {
		return 0, key, err
	}
	var typeErr, idErr error
	key.Type, typeErr = identity.ParseRecordType(c.Param("recordType"))
	key.ID, idErr = identity.ParseRecordID(c.Param("recordId"))
	var problems []identity.FieldError
	for _, part := range []struct {
		name string
		err  error
	}{{"recordType", typeErr}, {"recordId", idErr}} {
		var value *identity.ValueError
		if errors.As(part.err, &value) {
			problems = append(problems, identity.FieldError{Field: part.name, Code: value.Code, Message: value.Message})
		}
	}
	return user, key, identity.InvalidFields(problems)
}

func (h *handlers) recordLink(c echo.Context, userID int64, r identity.Record) string {
	path := "/records/" + string(r.Type) + "/" + url.PathEscape(string(r.ID))
	return h.link(c, Prefix+"/users/"+strconv.FormatInt(userID, 10)+path)
}
