package backoffice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/rosterhq/roster/internal/api"
	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/service"
)

// userBody is a user in an answer.
type userBody struct {
	ID                int64                `json:"id"`
	Name              identity.Name        `json:"name"`
	Email             identity.Email       `json:"email"`
	Phone             *identity.Phone      `json:"phone"`
	Active            bool                 `json:"active"`
	TFA               bool                 `json:"tfa"`
	Groups            []int64              `json:"groups"`
	IPWhitelist       identity.AllowList   `json:"ipWhitelist"`
	ClientTags        []identity.ClientTag `json:"clientTags"`
	CanViewMaskedData bool                 `json:"canViewMaskedData"`
	CreateTime        wireTime             `json:"createTime"`
	UpdateTime        wireTime             `json:"updateTime"`
	LastSigninTime    wireTime             `json:"lastSigninTime"`
	Version           int64                `json:"version"`
}

func userFrom(u identity.User) userBody {
	body := userBody{
		ID: u.ID, Name: u.Name, Email: u.Email, Phone: orNull(u.Phone), Active: u.Active, TFA: u.TFA, Groups: u.Groups,
		IPWhitelist: u.AllowList, ClientTags: u.ClientTags, CanViewMaskedData: u.CanViewMaskedData,
		CreateTime: onWire(u.CreatedAt), UpdateTime: onWire(u.UpdatedAt), LastSigninTime: onWire(u.LastSigninAt),
		Version: u.Version,
	}
	if body.IPWhitelist == nil {
		body.IPWhitelist = identity.AllowList{}
	}
	if body.ClientTags == nil {
		body.ClientTags = []identity.ClientTag{}
	}
	return body
}

// profileFields are the fields of a user that a request and a row of an import may set.
type profileFields struct {
	Name              *identity.Name       `json:"name"`
	Email             *identity.Email      `json:"email"`
	Active            *bool                `json:"active"`
	TFA               *bool                `json:"tfa"`
	Phone             *phoneOrMask         `json:"phone"             null:"empty"`
	IPWhitelist       *[]rangeOrMask       `json:"ipWhitelist"       validate:"omitnil,max=256" null:"empty"`
	ClientTags        *identity.ClientTags `json:"clientTags"        validate:"omitnil,max=64"  null:"empty"`
	CanViewMaskedData *bool                `json:"canViewMaskedData"`
}

func (f profileFields) change() identity.UserChange {
	change := identity.UserChange{
		Name: f.Name, Email: f.Email, Phone: (*identity.Phone)(f.Phone), Active: f.Active, TFA: f.TFA,
		ClientTags: (*[]identity.ClientTag)(f.ClientTags), CanViewMaskedData: f.CanViewMaskedData,
	}
	if f.IPWhitelist != nil {
		list := make(identity.AllowList, len(*f.IPWhitelist))
		for i, entry := range *f.IPWhitelist {
			list[i] = identity.AddressRange(entry)
		}
		change.AllowList = &list
	}
	return change
}

// userFields are the fields of a user that a request may set.
type userFields struct {
	profileFields

	Password   *identity.Password `json:"password"`
	Groups     *[]int64           `json:"groups"     validate:"omitnil,max=256"`
	SendNotify *bool              `json:"sendNotify"`
}

func (f userFields) change() identity.UserChange {
	change := f.profileFields.change()
	change.Password, change.Groups = f.Password, f.Groups
	return change
}

type createUserRequest struct {
	userFields

	Invite *bool `json:"invite"`
}

// Required returns the names of the fields that a new user needs. One who is invited has no
// password.
func (r createUserRequest) Required() []string {
	required := []string{"name", "email", "active", "tfa", "groups"}
	if !orZero(r.Invite) {
		required = append(required, "password")
	}
	return required
}

type updateUserRequest struct {
	userFields

	CurrentPassword *string `json:"currentPassword"`
}

// phoneOrMask and rangeOrMask take a mask as well as a value, because a client that
// reads masks may send them back; UserChange.Unmasked resolves them.
type (
	phoneOrMask identity.Phone
	rangeOrMask identity.AddressRange
)

func (p *phoneOrMask) UnmarshalText(text []byte) error {
	phone, err := identity.ParsePhoneOrMask(string(text))
	*p = phoneOrMask(phone)
	return err
}

func (r *rangeOrMask) UnmarshalText(text []byte) error {
	parsed, err := identity.ParseAddressRangeOrMask(string(text))
	*r = rangeOrMask(parsed)
	return err
}

func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func (h *handlers) getUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	user, err := h.service.User(c.Request().Context(), actor, id)
	if err != nil {
		return err
	}
	setVersion(c, user.Version)
	return c.JSON(http.StatusOK, userFrom(user))
}

func (h *handlers) createUser(c echo.Context, actor identity.Actor) error {
	idempotency, err := idempotencyFrom(c)
	if err != nil {
		return err
	}
	body, err := api.ReadJSON(c)
	if err != nil {
		return err
	}
	request, err := api.Decode[createUserRequest](body)
	if err != nil {
		return err
	}
	if idempotency.Request, err = withoutPassword(body); err != nil {
		return err
	}
	user, answer, err := h.service.CreateUser(c.Request().Context(), actor, service.NewUser{
		User: request.change().Apply(identity.User{}), Password: orZero(request.Password),
		Notify: orZero(request.SendNotify), Invite: orZero(request.Invite),
	}, idempotency)
	if err != nil {
		return err
	}
	if answer.Replayed {
		setVersion(c, 1) // as it was created
		return created(c, h.userLink(c, answer.UserID), json.RawMessage(answer.Body))
	}
	setVersion(c, user.Version)
	return created(c, h.userLink(c, user.ID), userFrom(user))
}

func (h *handlers) updateUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	q := api.NewQuery(c)
	force := q.OneOf("force", "false", "true") == "true"
	if err := q.Err(); err != nil {
		return err
	}
	request, err := api.Bind[updateUserRequest](c)
	if err != nil {
		return err
	}
	match, err := versionMatch(c)
	if err != nil {
		return err
	}
	user, err := h.service.UpdateUser(c.Request().Context(), actor, id, service.UserUpdate{
		Change: request.change(), Match: match, CurrentPassword: (*identity.Password)(request.CurrentPassword),
		Force: force, Notify: orZero(request.SendNotify),
	})
	if err != nil {
		return err
	}
	setVersion(c, user.Version)
	return c.JSON(http.StatusOK, userFrom(user))
}

func (h *handlers) inviteUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	if err := h.service.Invite(c.Request().Context(), actor, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

func (h *handlers) deleteUser(c echo.Context, actor identity.Actor) error {
	id, err := userID(c, actor)
	if err != nil {
		return err
	}
	match, err := versionMatch(c)
	if err != nil {
		return err
	}
	if err := h.service.DeleteUser(c.Request().Context(), actor, id, match); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// userID reads the id of a user from the path; "me" is the caller's own. It returns
// NotFound for the "me" of a token without a user.
func userID(c echo.Context, actor identity.Actor) (int64, error) {
	if c.Param("userId") != "me" {
		return api.PathID(c, "userId")
	}
	if actor.UserID == 0 {
		return 0, identity.Errorf(identity.NotFound, "not_found", "This token acts for no user, so there is no \"me\".")
	}
	return actor.UserID, nil
}

func (h *handlers) userLink(c echo.Context, id int64) string {
	return h.link(c, Prefix+"/users/"+strconv.FormatInt(id, 10))
}

// withoutPassword returns a body, which is valid JSON, in a canonical form without
// the password: white space and the order of keys make no difference.
func withoutPassword(body []byte) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return "", err
	}
	delete(object, "password")
	canonical, err := json.Marshal(object) // which sorts the keys
	return string(canonical), err
}

// keyHeader is the header of draft-ietf-httpapi-idempotency-key-header.
const keyHeader = "Idempotency-Key"

// idempotencyFrom reads the Idempotency-Key header: 1 to 255 visible ASCII characters.
func idempotencyFrom(c echo.Context) (service.Idempotency, error) {
	const maxLength = 255
	values := c.Request().Header.Values(keyHeader)
	if len(values) == 0 {
		return service.Idempotency{}, nil
	}
	key := values[0]
	valid := len(values) == 1 && len(key) >= 1 && len(key) <= maxLength
	for _, b := range []byte(key) {
		valid = valid && b > ' ' && b <= '~'
	}
	if !valid {
		return service.Idempotency{}, identity.InvalidField(keyHeader, "invalid_key",
			fmt.Sprintf("must have 1 to %d visible ASCII characters", maxLength))
	}
	return service.Idempotency{Key: key, Render: func(u identity.User) []byte {
		body, err := json.Marshal(userFrom(u))
		if err != nil {
			panic(err) // its types cannot fail
		}
		return body
	}}, nil
}
