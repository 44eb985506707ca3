package backoffice

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

type addRowsRequest struct {
	First *int64             `json:"first" validate:"required,min=1"`
	Rows  *[]json.RawMessage `json:"rows"  validate:"required,max=1000"` // identity.MaxRowsPerCall
}

type importPlanBody struct {
	Received int64 `json:"received"`
	Create   int64 `json:"create"`
	Update   int64 `json:"update"`
	Same     int64 `json:"same"`
	Error    int64 `json:"error"`
}

// importPlanFrom counts the rows of an import that is not started: no others are settled then.
func importPlanFrom(j identity.Job) importPlanBody {
	return importPlanBody{Received: j.Total, Create: j.Creates, Update: j.Updates, Same: j.Unchanged, Error: j.Failed}
}

// importRow is a row of an import.
type importRow struct {
	profileFields

	ID           *int64       `json:"id"           validate:"omitnil,min=1"`
	Groups       *[]groupName `json:"groups"       validate:"omitnil,max=256"`
	PasswordHash *string      `json:"passwordHash"`
}

// groupName is the id of a group, or its name.
type groupName service.GroupName

// UnmarshalJSON takes an integer of at least 1 or a name; the error is a *identity.ValueError.
func (g *groupName) UnmarshalJSON(text []byte) error {
	if !bytes.HasPrefix(text, []byte(`"`)) {
		var id jobUserID
		err := id.UnmarshalJSON(text)
		g.ID = int64(id)
		return err
	}
	var name string
	if err := json.Unmarshal(text, &name); err != nil {
		return err
	}
	label, err := identity.ParseLabel(name)
	g.Name = label
	return err
}

// importRowFrom reads a row. What is wrong with it stands in its Err.
func importRowFrom(raw json.RawMessage) service.ImportRow {
	if !api.StartsObject(raw) {
		return service.ImportRow{Err: identity.Errorf(identity.Invalid, "invalid_type", "The row is no object.")}
	}
	row, err := api.Decode[importRow](raw)
	imported := service.ImportRow{
		ID: orZero(row.ID), Change: row.change(), PasswordHash: orZero(row.PasswordHash), Err: err,
	}
	if row.PasswordHash != nil && imported.PasswordHash == "" && err == nil {
		imported.Err = identity.InvalidField(identity.FieldPasswordHash, "required", "must not be empty")
	}
	if row.Groups != nil {
		groups := make([]service.GroupName, len(*row.Groups))
		for i, group := range *row.Groups {
			groups[i] = service.GroupName(group)
		}
		imported.Groups = &groups
	}
	return imported
}

func (h *handlers) addImportRows(c echo.Context, actor identity.Actor) error {
	id, err := api.PathID(c, "jobId")
	if err != nil {
		return err
	}
	request, err := api.Bind[addRowsRequest](c)
	if err != nil {
		return err
	}
	rows := make([]service.ImportRow, len(*request.Rows))
	for i, raw := range *request.Rows {
		rows[i] = importRowFrom(raw)
	}
	job, err := h.service.AddImportRows(c.Request().Context(), actor, id, *request.First, rows)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, importPlanFrom(job))
}
